"""``ddim-edge run`` and the hash of the weights: read once on a machine, while networks are opened."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.bundle.read import open_bundle
from ddim_edge.images.encode import read_recipe
from ddim_edge.networks.components import Components
from tests.helpers.command_line import Invoke
from tests.helpers.hashing import count_reading, forget_in_process, hold_reading, keep_all_hashes

OPTIONS = ("-n", 1, "--steps", 1, "--provider", "cpu", "--output")


@pytest.fixture
def bundle(new_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = new_bundle(external=True)
    keep_all_hashes(monkeypatch, tmp_path / "cache")
    return folder


def test_the_second_run_reads_no_file_for_its_hash(
    invoke: Invoke, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = count_reading(monkeypatch)
    assert invoke("run", bundle, *OPTIONS, "first.png").code == 0
    assert sorted(path.name for path in read) == ["model.onnx", "model.onnx_data"]
    read.clear()
    forget_in_process(monkeypatch)
    assert invoke("run", bundle, *OPTIONS, "second.png").code == 0
    assert invoke("run", bundle, *OPTIONS, "images/").code == 0
    assert invoke("run", "--from-image", "second.png", "--output", "third.png").code == 0
    assert read == []
    first, second = (Path(name).read_bytes() for name in ("first.png", "second.png"))
    assert first == second == Path("third.png").read_bytes()


def test_a_copy_with_its_build_beside_it_is_read_once(
    invoke: Invoke, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("build", bundle, "--provider", "cpu", "--beside").code == 0
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    read = count_reading(monkeypatch)
    for name in ("first.png", "second.png"):
        assert invoke("run", copy, *OPTIONS, name).code == 0
        forget_in_process(monkeypatch)
    assert len(read) == len(set(read))
    assert {path.relative_to(copy).parts[0] for path in read} == {"unet", "compiled"}


@pytest.mark.parametrize("output", ["out.png", "out.npy", "out/"])
def test_networks_are_opened_while_the_weights_are_read(
    invoke: Invoke, bundle: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    opened, goes_on = Components.open, hold_reading(monkeypatch)

    def open_and_go_on(*arguments: Any) -> Components:
        components = opened(*arguments)
        assert not list(Path.cwd().glob("out*/*")) + list(Path.cwd().glob("out.*"))
        goes_on.set()
        return components

    monkeypatch.setattr(Components, "open", open_and_go_on)
    assert invoke("run", bundle, *OPTIONS, output).code == 0
    wanted = open_bundle(bundle).sha256
    if output != "out.npy":
        written = json.loads(Path("out/run.json").read_text()) if output == "out/" else read_recipe(Path(output))
        assert written["model_sha256"] == wanted


def test_a_folder_of_another_model_is_refused_before_networks_are_opened(
    invoke: Invoke, bundle: Path, plain_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("run", bundle, *OPTIONS, "images/").code == 0
    monkeypatch.setattr(Components, "open", None)
    outcome = invoke("run", plain_bundle, *OPTIONS, "images/")
    assert outcome.code == 2
    assert "images holds the images of another run" in outcome.err


def test_weights_that_are_replaced_while_they_are_read_make_no_picture(
    invoke: Invoke, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, goes_on = Components.open, hold_reading(monkeypatch)

    def open_and_replace(*arguments: Any) -> Components:
        components = opened(*arguments)
        data = bundle / "unet" / "model.onnx_data"
        data.with_name("other").write_bytes(bytes(data.stat().st_size))
        data.with_name("other").replace(data)
        goes_on.set()
        return components

    monkeypatch.setattr(Components, "open", open_and_replace)
    outcome = invoke("run", bundle, *OPTIONS, "out.png")
    assert (outcome.code, outcome.out) == (2, "")
    assert "model.onnx_data was replaced after the model was opened: open the model again" in outcome.err
    assert not Path("out.png").exists()
