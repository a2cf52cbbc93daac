"""``python -m bench.emoji BUNDLE``: how often the image of a training name is nearest to its own training picture.

One image per name is generated, and all training pictures are sorted by their distance to it: the root of the summed
squares over all uint8 pixels. Top-1 is the share of names whose own picture is the nearest, top-5 the share where it is
among the five nearest.
"""

from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import track

import ddim_edge
from models.training.emoji.data import DEFAULT_FONT, Emoji, load

from . import results, tables

SUBJECT = "emoji"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "pillow")
BATCH = 32
SHEET = results.ROOT / "docs" / "emoji.png"
SHOWN = 24
UNSEEN = (
    "red cat face",
    "smiling house",
    "blue heart with cat ears",
    "dog face with tears of joy",
    "green apple with sunglasses",
    "yellow book",
    "purple star",
    "crying pizza",
)
_COLUMNS, _SCALE, _MARGIN, _LINE = 4, 2, 6, 14

Pixels = NDArray[np.uint8]


class Cell(NamedTuple):
    """Two pictures side by side, with a line of text below."""

    text: str
    left: Pixels
    right: Pixels


@click.command()
@click.argument("bundle", default="emoji")
@click.option("--font", type=click.Path(path_type=Path), default=DEFAULT_FONT, show_default=True)
@click.option("--guidance-scale", default=3.0, show_default=True)
def main(bundle: str, font: Path, guidance_scale: float) -> None:
    """Generate every training name once; write bench/results/emoji.json and docs/emoji.png, render bench/README.md."""
    pipeline, emoji = ddim_edge.load(bundle), load(font)
    images = generate(pipeline, emoji.names, guidance_scale)
    places = ranks(images, emoji.images)
    record = {
        "model_sha256": pipeline.bundle.sha256,
        "num_images": len(images),
        "num_steps": pipeline.bundle.num_steps,
        "guidance_scale": guidance_scale,
        "top_1": float(np.mean(places < 1)),
        "top_5": float(np.mean(places < 5)),
        "median_rank": 1 + float(np.median(places)),
    }
    tables.publish(SUBJECT, record, PACKAGES)
    draw_sheet(seen(emoji, images), unseen(pipeline, guidance_scale))


def generate(pipeline: ddim_edge.Pipeline, prompts: tuple[str, ...], guidance_scale: float) -> Pixels:
    """One image per prompt, uint8 (N, H, W, 3); that of prompt k has seed k."""
    request = pipeline.request(prompt=prompts, guidance_scale=guidance_scale, batch_size=BATCH)
    chunks = track(list(request.chunks()), "generating", console=Console(stderr=True))
    made = [progress.images for progress in pipeline.run(request, chunks) if progress.images is not None]
    return np.concatenate(made)


def ranks(images: Pixels, training: Pixels) -> NDArray[np.int64]:
    """How many training pictures, uint8 (M, H, W, C), are nearer to image k than the k-th is, int64 (N,)."""
    ours, theirs = (array.reshape(len(array), -1).astype(np.float64) for array in (images, training))
    squares = (ours**2).sum(1)[:, None] - 2 * ours @ theirs.T + (theirs**2).sum(1)
    own = squares[np.arange(len(ours)), np.arange(len(ours))]
    nearer: NDArray[np.int64] = (squares < own[:, None]).sum(1)
    return nearer


def seen(emoji: Emoji, images: Pixels) -> list[Cell]:
    """Every n-th training name: the training picture and the generated one."""
    return [Cell(emoji.names[k], emoji.images[k], images[k]) for k in range(0, len(images), -(-len(images) // SHOWN))]


def unseen(pipeline: ddim_edge.Pipeline, guidance_scale: float) -> list[Cell]:
    """Texts that are no training names, two images each."""
    made = generate(pipeline, tuple(text for text in UNSEEN for _ in range(2)), guidance_scale)
    return [Cell(text, *pair) for text, pair in zip(UNSEEN, made.reshape(-1, 2, *made.shape[1:]), strict=True)]


def draw_sheet(known: list[Cell], new: list[Cell]) -> None:
    """Write docs/emoji.png."""
    parts = [_section("From training: the font's picture and the generated one", known)]
    parts.append(_section("Not from training: two pictures each", new))
    sheet = Image.new("RGB", (parts[0].width, sum(part.height for part in parts)), "white")
    sheet.paste(parts[0], (0, 0))
    sheet.paste(parts[1], (0, parts[0].height))
    sheet.quantize(256).save(SHEET, optimize=True)


def _section(title: str, cells: list[Cell]) -> Image.Image:
    side = _SCALE * cells[0].left.shape[0]
    width, height = 3 * side + _MARGIN, side + _LINE + 2 * _MARGIN
    section = Image.new("RGB", (_COLUMNS * width, 2 * _LINE + -(-len(cells) // _COLUMNS) * height), "white")
    pen, large, small = ImageDraw.Draw(section), ImageFont.load_default(13), ImageFont.load_default(10)
    pen.text((_MARGIN, _MARGIN), title, "black", large)
    for place, cell in enumerate(cells):
        x, y = place % _COLUMNS * width + _MARGIN, place // _COLUMNS * height + 2 * _LINE
        for offset, picture in ((0, cell.left), (side + _MARGIN, cell.right)):
            section.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST), (x + offset, y))
        pen.text((x, y + side), _shortened(cell.text, width - _MARGIN, small), "black", small)
    return section


def _shortened(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while font.getlength(text) > width:
        text = text.removesuffix("…")[:-1] + "…"
    return text


if __name__ == "__main__":
    main()
