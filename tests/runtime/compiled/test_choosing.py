"""What was measured of a graph: which row is taken, and when none is."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.errors import ProviderError
from ddim_edge.graphs.fingerprint import graph_sha256
from ddim_edge.runtime.compiled.choice import RECORD, Choice, write_choice
from ddim_edge.runtime.compiled.choosing import chosen
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.compiled.measured import Measured, fastest
from ddim_edge.runtime.compiled.places import bundle_cache, cached_folders, user_cache
from ddim_edge.runtime.compiled.upkeep import entries, prune
from ddim_edge.runtime.hardware import cpu
from ddim_edge.runtime.sessions.opening import FallbackWarning
from tests.helpers.tiny_bundles import tiny_model, write_bundle

HERE = Machine.of("cpu")


@pytest.fixture
def graph(new_bundle: Callable[..., Path]) -> Path:
    return new_bundle() / "unet" / "model.onnx"


def _row(time: float = 0.5, threads: int | None = None, **changes: Any) -> Measured:
    row = Measured("cpu", None, "float32", threads, {"single": time / 2, "guided": time}, 0.0, None, HERE)
    return dataclasses.replace(row, **changes)


def _kept(graph: Path, *rows: Measured, cache: Path | None = None, precision: str = "float32") -> Path:
    return write_choice(cache or user_cache(), graph, graph_sha256(graph), precision, rows)


def _threads_of(pipeline: ddim_edge.Pipeline) -> int:
    raw: Any = pipeline.denoiser.session.raw
    return int(raw.get_session_options().intra_op_num_threads)


def test_the_fastest_row_is_taken_and_the_first_of_two_that_are_as_fast() -> None:
    default, one, slow = _row(1.0), _row(0.5, 1), _row(2.0, 2)
    assert fastest([default, one, slow], "float32") is one
    assert fastest([_row(0.505), one], "float32") == _row(0.505)
    assert fastest([_row(0.1, reason="it computes something else"), one], "float32") is one
    assert fastest([_row(seconds={}), _row(0.1, reason="it crashed")], "float32") is None


def test_a_guided_call_decides_where_there_is_one() -> None:
    single = _row(seconds={"single": 0.3})
    assert (single.time, _row(0.5).time) == (0.3, 0.5)


def test_what_was_kept_is_found_and_a_model_runs_with_it(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(graph, "float32").row is None
    _kept(graph, _row(1.0), _row(0.5, 1))
    found = chosen(graph, "float32")
    assert (found.row, found.fault) == (_row(0.5, 1), None)
    pipeline = ddim_edge.load(graph.parent.parent)
    assert _threads_of(pipeline) == 1
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(graph.parent / "none"))
    other = ddim_edge.load(graph.parent.parent)
    assert _threads_of(other) == cpu.threads()
    options: Any = {"num_images": 2, "num_steps": 3}
    np.testing.assert_array_equal(pipeline.generate(**options).images, other.generate(**options).images)


def test_a_lower_precision_is_taken_only_where_it_is_allowed(graph: Path) -> None:
    rounded = _row(0.1, provider="openvino", precision="bfloat16")
    _kept(graph, _row(0.5, 1), rounded, precision="auto")
    (choice,) = filter(None, map(Choice.read, cached_folders(user_cache())))
    assert [choice.best(precision) for precision in ("float32", "float16", "bfloat16", "auto")] == [
        _row(0.5, 1),
        _row(0.5, 1),
        rounded,
        rounded,
    ]
    assert chosen(graph, "float32").row == _row(0.5, 1)


def test_where_lower_precisions_were_not_measured_none_is_taken(graph: Path) -> None:
    _kept(graph, _row(0.5, 1))
    assert chosen(graph, "bfloat16").row is None
    device = ddim_edge.Device("auto", precision="bfloat16")
    with pytest.raises(ProviderError, match=r"needs a provider by name.*build MODEL --provider auto --precision bf"):
        ddim_edge.load(graph.parent.parent, device)


def test_a_provider_that_is_named_is_what_runs(graph: Path) -> None:
    _kept(graph, _row(0.5, 1))
    assert _threads_of(ddim_edge.load(graph.parent.parent, "cpu")) == cpu.threads()


def test_in_the_bundles_folder_it_moves_with_the_bundle(graph: Path, tmp_path: Path) -> None:
    bundle = graph.parent.parent
    _kept(graph, _row(0.5, 1), cache=bundle_cache(bundle))
    moved = bundle.rename(tmp_path / "moved")
    assert chosen(moved / "unet" / "model.onnx", "float32").row == _row(0.5, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device": "AMD EPYC avx2"}, "measured on AMD EPYC avx2, this is "),
        ({"onnxruntime": "1.31.0"}, "measured with ONNX Runtime 1.31.0, this is "),
        ({"compiler": "OpenVINO 2026.3"}, "measured with OpenVINO 2026.3, this is "),
    ],
)
def test_of_another_machine_or_version_it_is_not_taken(graph: Path, changes: Any, reason: str) -> None:
    _kept(graph, _row(0.5, 1, machine=dataclasses.replace(HERE, **changes)))
    found = chosen(graph, "float32")
    assert found.row is None
    assert (found.fault or "").startswith(reason)
    with pytest.warns(FallbackWarning, match=f"{reason}.*Run `ddim-edge build --provider auto` again"):
        pipeline = ddim_edge.load(graph.parent.parent)
    assert _threads_of(pipeline) == cpu.threads()
    (entry,) = entries([user_cache()])
    assert (entry.fault or "").startswith(reason)


def test_with_other_processors_it_is_not_taken_and_not_pruned(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _kept(graph, _row(0.5, 1))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert "1 asked for by the environment" in (chosen(graph, "float32").fault or "")
    assert prune([user_cache()]) == []


def test_of_a_graph_that_has_changed_it_is_not_taken_and_pruned(graph: Path) -> None:
    folder = _kept(graph, _row(0.5, 1))
    graph.write_bytes(graph.read_bytes().replace(np.float32(0.5).tobytes(), np.float32(0.75).tobytes()))
    found = chosen(graph, "float32")
    assert (found.row, found.fault) == (None, "unet has changed since")
    (gone,) = prune([user_cache()])
    assert (gone.folder, gone.fault) == (folder, f"{graph} has changed since")
    assert not folder.exists()


def test_of_another_bundle_nothing_is_said(graph: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other", tiny_model(nan_at=(0, 0))) / "unet" / "model.onnx"
    _kept(other, _row(0.5, 1))
    found = chosen(graph, "float32")
    assert (found.row, found.fault) == (None, None)


def test_a_row_that_is_no_device_is_not_taken(graph: Path) -> None:
    _kept(graph, _row(0.1, which="1"))
    found = chosen(graph, "float32")
    assert (found.row, found.fault) == (None, "provider 'cpu' has no devices to choose from: leave :1 out")


def test_what_does_not_load_any_more_is_warned_of_once(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _kept(graph, _row(0.5, provider="webgpu"))
    of = Machine.of

    def fails(provider: str, which: str | None = None) -> Machine:
        if provider == "webgpu":
            raise ProviderError("webgpu: no device")
        return of(provider, which)

    monkeypatch.setattr(Machine, "of", fails)
    with pytest.warns(FallbackWarning, match="webgpu: no device") as caught:
        assert ddim_edge.load(graph.parent.parent).provider == "cpu"
    assert len(caught) == 1


def test_what_does_not_open_any_more_is_warned_of_once(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _kept(graph, _row(0.5, provider="webgpu"))
    monkeypatch.setattr(Machine, "of", lambda _provider, _which=None: HERE)
    with pytest.warns(FallbackWarning, match="webgpu, does not run: provider 'webgpu' is not in") as caught:
        assert ddim_edge.load(graph.parent.parent).provider == "cpu"
    assert len(caught) == 1


def test_a_new_measurement_replaces_what_it_covers(graph: Path) -> None:
    assert _kept(graph, _row(0.5, 1)) == _kept(graph, _row(0.5))
    assert chosen(graph, "float32").row == _row(0.5)
    more = _kept(graph, _row(0.5), precision="auto")
    assert cached_folders(user_cache()) == [more]
    again = _kept(graph, _row(0.5, 1))
    assert set(cached_folders(user_cache())) == {more, again}
    assert chosen(graph, "float32").row == _row(0.5, 1)


@pytest.mark.parametrize("contents", ["", "{}", '{"format": 1, "precision": "float32"}', "[1]"])
def test_a_damaged_record_is_not_read(graph: Path, contents: str) -> None:
    folder = _kept(graph, _row(0.5, 1))
    (folder / RECORD).write_text(contents)
    assert Choice.read(folder) is None
    assert chosen(graph, "float32").row is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("provider", "abacus"), ("threads", "two"), ("threads", 100_000), ("seconds", {"single": -1}), ("machine", {})],
)
def test_a_row_with_wrong_values_is_not_read(graph: Path, key: str, value: Any) -> None:
    folder = _kept(graph, _row(0.5, 1))
    facts = json.loads((folder / RECORD).read_text())
    facts["rows"][0][key] = value
    (folder / RECORD).write_text(json.dumps(facts))
    assert Choice.read(folder) is None
