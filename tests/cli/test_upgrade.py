"""``ddim-edge upgrade``: what it says and refuses. tests/export/test_upgrade.py has what it does to the files."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ddim_edge.bundle.format import FORMAT
from ddim_edge.bundle.read import open_bundle
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import write_json

NewBundle = Callable[..., Path]
CHANGED = "unet/model.onnx: its timestep is float32 now; the same predictions at whole timesteps"


def older(folder: Path) -> Path:
    """A bundle with the export.json of an export without a number."""
    write_json(folder / "export.json", {"network": "UNet", "files": {}})
    return folder


def test_it_says_what_it_did_and_then_that_nothing_is_left(invoke: Invoke, new_bundle: NewBundle) -> None:
    folder = older(new_bundle())
    before = open_bundle(folder).sha256
    outcome = invoke("upgrade", "bundle")
    after = open_bundle(folder)
    assert (outcome.code, outcome.err, after.format) == (0, "", FORMAT)
    assert outcome.out.splitlines() == [
        f"bundle: it has format {FORMAT}, and had 1",
        CHANGED,
        f"sha256 {after.sha256}, before {before}: pictures made before name the old one",
    ]
    again = invoke("upgrade", "bundle")
    assert (again.code, again.out) == (0, f"bundle: nothing to upgrade: it has format {FORMAT}\n")
    assert invoke("upgrade", "bundle", "--quiet").out == ""


def test_a_bundle_of_another_program(invoke: Invoke, new_bundle: NewBundle) -> None:
    new_bundle()
    reason = "it has no format number, because another program exported it"
    assert invoke("upgrade", "bundle").out.splitlines()[:2] == [f"bundle: {reason}", CHANGED]
    assert invoke("upgrade", "bundle").out == f"bundle: nothing to upgrade: {reason}\n"


def test_json_and_a_copy_of_a_bundled_model(invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke("upgrade", "fashion-mnist", "--output", "new", "--json")
    facts = json.loads(outcome.out)
    bundled = open_bundle("fashion-mnist")
    assert facts == {
        "bundle": "new",
        "format_before": 1,
        "format": FORMAT,
        "changed": ["unet/model.onnx"],
        "left": [],
        "sha256_before": bundled.sha256,
        "sha256": open_bundle(tmp_path / "new").sha256,
    }
    assert (bundled.format, bundled.takes_real_timesteps) == (1, False)
    assert invoke("inspect", "new", "--verify").out.endswith("all 4 files are as they were exported\n")


def test_a_bundled_model_is_left_as_it_is(invoke: Invoke) -> None:
    for model in ("fashion-mnist", open_bundle("fashion-mnist").folder):
        assert invoke("upgrade", model).failed_with(
            f"{model} is a model of the package, and stays as it is: `ddim-edge upgrade {model} --output NEW` writes "
            "an upgraded copy to the folder NEW"
        )


def test_a_model_in_the_hubs_cache_is_left_as_it_is(invoke: Invoke, new_bundle: NewBundle, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--some--model" / "snapshots" / "1a2b"
    snapshot.parent.mkdir(parents=True)
    new_bundle().rename(snapshot)
    assert invoke("upgrade", snapshot).failed_with("is in the Hugging Face cache", "--output NEW")
    assert invoke("upgrade", snapshot, "-o", "new").code == 0


@pytest.mark.parametrize("argument", ["nowhere", "empty"])
def test_what_is_no_bundle(invoke: Invoke, tmp_path: Path, argument: str) -> None:
    (tmp_path / "empty").mkdir()
    assert invoke("upgrade", argument).failed_with(argument)


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    invoke: Invoke, new_bundle: NewBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_bundle()
    monkeypatch.delitem(sys.modules, "ddim_edge_export.upgrade", raising=False)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    outcome = invoke("upgrade", "bundle")
    assert outcome.failed_with("upgrade needs onnxscript, of the extra export, which is not installed: pip install '")
    assert "torch" not in outcome.err
