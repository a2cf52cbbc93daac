"""``python -m bench.encoding``: time and size of image files by format and PNG level, for pictures like photographs."""

import json
import statistics
import time

import click
import numpy as np

from ddim_edge.arrays import Pixels
from ddim_edge.images.formats import image_bytes

from . import results, tables

SIDES = (512, 1024)
FORMATS = {
    "PNG, level 0": (".png", 0),
    "PNG, level 1": (".png", 1),
    "PNG, default": (".png", None),
    "PNG, level 9": (".png", 9),
    "JPEG": (".jpeg", None),
    "WebP": (".webp", None),
}
_SEEDS = range(3)
_RECIPE = {"model": "none", "seed": 0}


@click.command()
@click.option("--rounds", type=int, default=7, help="How often each picture is encoded; the median counts.")
def main(rounds: int) -> None:
    """Measure, write bench/results/encoding.json and render bench/README.md."""
    rows = measure(SIDES, rounds)
    tables.publish("encoding", {"rows": rows}, ("ddim-edge", "pillow", "numpy"))
    click.echo(json.dumps(rows, indent=1))


def measure(sides: tuple[int, ...], rounds: int) -> list[results.Record]:
    """A row for each format, with the CPU time in ms and the bytes at each side."""
    pictures = {side: [photograph(side, seed) for seed in _SEEDS] for side in sides}
    return [
        {"format": name, **{str(side): _cost(pictures[side], *kind, rounds) for side in sides}}
        for name, kind in FORMATS.items()
    ]


def _cost(pictures: list[Pixels], suffix: str, level: int | None, rounds: int) -> results.Record:
    times, sizes = [], []
    for picture in pictures:
        for _ in range(rounds):
            began = time.thread_time()  # of this thread alone: the machine may be busy
            contents = image_bytes(picture, suffix, _RECIPE, level)
            times.append(time.thread_time() - began)
        sizes.append(len(contents))
    return {"ms": round(statistics.median(times) * 1000, 1), "bytes": round(statistics.mean(sizes))}


def photograph(side: int, seed: int) -> Pixels:
    """A picture like a photograph without noise, uint8 (side, side, 3): fields whose amplitudes fall as f^-1.5.

    The channels share most of their light. Its PNG file has 13 to 15 bits a pixel.
    """
    rows, columns = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf  # the mean is zero
    white = np.random.default_rng(seed).standard_normal((4, side, side))
    fields = np.fft.irfft2(np.fft.rfft2(white) / frequency**1.5, s=(side, side))
    fields /= fields.std(axis=(1, 2), keepdims=True)
    light, colours = fields[:1], fields[1:]
    return np.clip(128 + 48 * (light + 0.4 * colours), 0, 255).astype(np.uint8).transpose(1, 2, 0)


if __name__ == "__main__":
    main()
