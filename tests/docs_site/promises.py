"""What documents say about the files that their commands write."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from ddim_edge.images.encode import read_recipe
from tests.helpers.documents import ROOT


def _readme(folder: Path, _printed: Sequence[str]) -> None:
    assert read_recipe(folder / "shoes.png")["num_images"] == 8


def _first_ten_minutes(folder: Path, printed: Sequence[str]) -> None:
    text = (ROOT / "docs" / "first-ten-minutes.md").read_text(encoding="utf-8")
    named = re.findall(r"(?:--output|save\(\")\s*(\w+\.png)", text)
    assert len(named) >= 10
    assert all(Image.open(folder / name).size > (0, 0) for name in named)
    assert (folder / "coat.png").read_bytes() == (folder / "again.png").read_bytes()
    assert len([*(folder / "many").glob("*.png")]) == 20
    assert "(2, 28, 28, 1)\n" in printed
    assert "0 images" in printed[-1] or "there" in printed[-1]


def _pictures(folder: Path, _printed: Sequence[str]) -> None:
    assert read_recipe(folder / "shoes.png")["num_images"] == 8
    coat, repaired = (_pixels(folder / name) for name in ("coat.png", "repaired.png"))
    assert np.array_equal(coat[:, 14:], repaired[:, 14:])
    assert not np.array_equal(coat[:, :14], repaired[:, :14])
    assert read_recipe(folder / "variations.png")["num_images"] == 4
    assert (folder / "way.gif").exists()
    apple, same, green = (_pixels(folder / f"{name}.png") for name in ("apple", "same-apple", "green"))
    assert np.abs(same - apple).mean() < 10
    assert apple[16, 16, 0] > apple[16, 16, 1]  # red
    assert green[16, 16, 1] > green[16, 16, 0]
    ripe = _pixels(folder / "ripe.png")
    assert (ripe[:128, :128] != ripe[-128:, -128:]).any()


def _stable_diffusion(folder: Path, _printed: Sequence[str]) -> None:
    assert read_recipe(folder / "four.png")["num_images"] == 4
    assert len([*(folder / "images").glob("*.png")]) == 2
    with Image.open(folder / "morph.gif") as film:
        assert len([*ImageSequence.Iterator(film)]) > 1


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


PROMISES: dict[str, Callable[[Path, Sequence[str]], None]] = {
    "README.md": _readme,
    "docs/first-ten-minutes.md": _first_ten_minutes,
    "docs/pictures.md": _pictures,
    "docs/stable-diffusion.md": _stable_diffusion,
}
"""The check of a document: the folder where its blocks ran, and what they printed."""
