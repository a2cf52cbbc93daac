"""What an image encoder's config.json is read as."""

from pathlib import Path
from typing import Any

import pytest

from ddim_edge.bundle.image_prompts import ImagePrompts
from ddim_edge.errors import BundleError
from tests.helpers.tiny_bundles import write_json

KEYS: dict[str, Any] = {
    "image_size": 8,
    "ip_adapters": [{"name": "face", "tokens": 4, "width": 16}, {"name": "style", "tokens": 3, "width": 16}],
    "preprocessor": {"size": 8, "crop_size": 8},
}


def read(folder: Path, **changes: Any) -> ImagePrompts:
    (folder / "image_encoder").mkdir(exist_ok=True)
    (folder / "image_encoder" / "model.onnx").touch()
    write_json(folder / "image_encoder" / "config.json", KEYS | changes)
    return ImagePrompts.read(folder)


def test_adapters_have_numbered_inputs(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert [(adapter.name, adapter.tokens) for adapter in found.adapters] == [("face", 4), ("style", 3)]
    names = {f"ip_adapter_{what}{number}" for what in ("tokens", "scale") for number in ("", "_1")}
    assert (found.input_names, found.side) == (names, 8)


def test_no_adapters(tmp_path: Path) -> None:
    assert ImagePrompts.read(tmp_path).adapters == ()
    assert read(tmp_path, ip_adapters=None).adapters == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"ip_adapters": [{"name": "face", "width": 16}]},
        {"ip_adapters": [{"name": "face", "tokens": None, "width": 16}]},
        {"preprocessor": {"size": 9, "crop_size": 9}},
        {"preprocessor": {"do_center_crop": False, "size": 8}},
        {"preprocessor": None},
        {"image_size": None},
    ],
)
def test_what_is_broken(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match=r"config\.json does not describe the bundle's IP-Adapters .*export it again"):
        read(tmp_path, **changes)
