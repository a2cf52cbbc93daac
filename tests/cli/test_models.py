"""``ddim-edge models``: which models are on this machine."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.command_line import Invoke


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def listed(invoke: Invoke, *arguments: object) -> dict[str, Any]:
    outcome = invoke("models", "--json", *arguments)
    assert outcome.code == 0, outcome.err
    return {model["model"]: model for model in json.loads(outcome.out)["models"]}


def test_the_bundled_model_is_listed(invoke: Invoke) -> None:
    model = listed(invoke)["fashion-mnist"]
    assert (model["place"], model["kind"], model["image_shape"]) == ("bundled", "10 classes", [1, 28, 28])
    assert model["bytes"] > 1e6
    assert "sneaker" in model["labels"]


def test_bundles_of_folders_and_of_the_hub_s_cache(
    invoke: Invoke, tiny_bundle: Path, hub: Path, tmp_path: Path
) -> None:
    snapshot = hub / "models--someone--small" / "snapshots" / "0123"
    for target in (tmp_path / "shelf" / "tiny", snapshot):
        shutil.copytree(tiny_bundle, target)
    models = listed(invoke, tmp_path / "shelf")
    assert models[f"{tmp_path}/shelf/tiny/"]["place"] == "folder"
    assert models[str(snapshot)]["place"] == "Hugging Face cache"
    models = listed(invoke, tmp_path / "shelf" / "tiny")
    assert [name for name in models if "/" in name] == [f"{tmp_path}/shelf/tiny/", str(snapshot)]


def test_a_bundle_that_cannot_be_read_has_its_error_in_the_list(
    invoke: Invoke, tiny_bundle: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(tiny_bundle, tmp_path / "shelf" / "broken"))
    (broken / "unet" / "config.json").write_text("{")
    assert "config.json" in listed(invoke, tmp_path / "shelf")[f"{broken}/"]["error"]
    text = invoke("models", tmp_path / "shelf").out
    assert "fashion-mnist" in text
    assert "config.json" in text


def test_a_folder_that_is_not_there_is_one_line(invoke: Invoke) -> None:
    outcome = invoke("models", "nowhere")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
