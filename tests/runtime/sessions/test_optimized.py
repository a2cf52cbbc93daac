"""Optimized graphs: packed weights are in the file, are mapped, and the outputs stay the same to the bit."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

import ddim_edge
from ddim_edge.errors import OutputError, ProviderError
from ddim_edge.graphs.external_data import check_onnx_file
from ddim_edge.graphs.fingerprint import graph_sha256
from ddim_edge.runtime.compiled.entry import RECORD, write_record
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.compiled.places import user_cache
from ddim_edge.runtime.compiled.recipe import Recipe
from ddim_edge.runtime.hardware.memory import trim_heap
from ddim_edge.runtime.sessions.opening import FallbackWarning
from ddim_edge.runtime.sessions.optimized import WEIGHTS, check_optimized, write_optimized

SIDE = 2000
MEGABYTES = SIDE * SIDE * 4 / 1e6
SAMPLE = np.random.default_rng(1).standard_normal((2, SIDE), np.float32)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph of one matrix product with weights of 16 MB, in a file beside it."""
    graph = tmp_path_factory.mktemp("bundle") / "unet" / "model.onnx"
    graph.parent.mkdir()
    header, tensor = '<ir_version: 10, opset_import: ["" : 18]>', f"float[n, {SIDE}]"
    model = onnx.parser.parse_model(f"{header} g ({tensor} x) => ({tensor} y) {{ y = MatMul(x, w) }}")
    weights = np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    onnx.save_model(model, graph, save_as_external_data=True, location=WEIGHTS)
    return graph


def _built(graph: Path) -> Path:
    recipe, sha256 = Recipe("cpu", graph, {}, Machine.of("cpu")), graph_sha256(graph)
    folder = recipe.folder(user_cache(), sha256)
    folder.mkdir(parents=True)
    write_optimized(graph, folder)
    check_optimized(folder)
    return write_record(folder, recipe, sha256, 1.0).graph


def _private_bytes() -> float:
    """The private memory of this process in MB."""
    trim_heap()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("RssAnon"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_packed_weights_are_mapped_and_give_the_same_outputs(product: Path) -> None:
    plain = ddim_edge.Session(product, "cpu").run({"x": SAMPLE})["y"]
    built, before = _built(product), _private_bytes()
    session = ddim_edge.Session(product, "cpu")
    assert _private_bytes() - before < MEGABYTES / 3
    assert str(built.with_name(WEIGHTS)) in Path("/proc/self/maps").read_text()
    assert np.array_equal(session.run({"x": SAMPLE})["y"], plain)


def test_the_file_has_the_packed_form_beside_the_unpacked(product: Path) -> None:
    built = _built(product)
    (weights,) = [each for each in onnx.load(built, load_external_data=False).graph.initializer if each.external_data]
    assert "prepacked_0" in {entry.key for entry in weights.external_data}
    assert check_onnx_file(built, built.parent) == [built.with_name(WEIGHTS)]
    assert built.with_name(WEIGHTS).stat().st_size > 1.9e6 * MEGABYTES


def test_the_unpacked_weights_are_needed(product: Path, tmp_path: Path) -> None:
    """ONNX Runtime packs them again and compares. Where this fails, they can be left out of the file."""
    built = _built(product)
    plain = ddim_edge.Session(product, "cpu").run({"x": SAMPLE})["y"]
    with built.with_name(WEIGHTS).open("r+b") as file:
        file.write(bytes(SIDE * SIDE * 4))  # the unpacked ones are first
    changed = tmp_path / "unet"
    shutil.copytree(built.parent, changed)
    assert not np.array_equal(ddim_edge.Session(changed / "model.onnx", "cpu").run({"x": SAMPLE})["y"], plain)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_named_and_not_left_full(product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=0))
    (tmp_path / WEIGHTS).symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"^cannot write .*: the disk is full$"):
        write_optimized(product, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_failure_is_told_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ProviderError, match=r"model.onnx cannot be opened: "):
        write_optimized(tmp_path / "model.onnx", tmp_path)


def test_a_build_for_another_processor_is_not_left_out_in_silence(product: Path) -> None:
    record = _built(product).with_name(RECORD)
    facts = json.loads(record.read_text())
    facts["machine"]["device"] = "a Cray-1"
    record.write_text(json.dumps(facts))
    fault = r"unet has nothing built for cpu that fits: built for a Cray-1, this is .*\. Run `ddim-edge build .* cpu`"
    with pytest.warns(FallbackWarning, match=fault):
        ddim_edge.Session(product, "cpu")
