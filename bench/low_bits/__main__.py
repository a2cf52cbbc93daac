"""``python -m bench.low_bits BUNDLE``: the UNet of a bundle in few bits, beside float32, on this CPU."""

import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from ddim_edge.bundle.read import open_bundle
from ddim_edge.user_cache import CACHE_VARIABLE

from .. import results, tables
from ..harness import column, compare, interleaved, workers
from .calls import Call, record
from .pictures import pictures, psnr
from .variants import VARIANTS, write

SUBJECT = "low_bits"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime")
REFERENCE = "float32"
_COMPARED = 4
"""Recorded calls, evenly spaced over the steps, that are timed and compared."""


@click.command()
@click.argument("bundle", default="emoji")
@click.option("--only", multiple=True, type=click.Choice(VARIANTS), help="Variants to measure; all by default.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--steps", default=20, show_default=True, help="Steps of the run whose calls are recorded.")
@click.option("--images", default=8, show_default=True, help="Images of that run.")
@click.option("--size", type=int, help="Height and width of these images.")
@click.option("--pictures/--no-pictures", "with_pictures", default=True, help="For a trained model: PSNR of pictures.")
def main(
    bundle: str, only: tuple[str, ...], rounds: int, steps: int, images: int, size: int | None, with_pictures: bool
) -> None:
    """Measure each variant beside float32, both in processes of their own, in turn. Results of other bundles stay.

    It needs free disk space for one more UNet, and for the static variant the memory of one call.
    """
    folder = open_bundle(bundle).folder.resolve()
    with tempfile.TemporaryDirectory() as name, Console(stderr=True).status("recording") as status:
        os.environ[CACHE_VARIABLE] = name  # no build may take the place of a graph
        calls = record(folder, steps, images, size)
        rows = dict[str, Any]()
        for title in only or VARIANTS:
            status.update(title)
            measured = _measured(folder, title, calls, rounds, with_pictures)
            rows.setdefault(REFERENCE, measured[REFERENCE])
            rows[title] = measured[title]
    kept = results.read(SUBJECT).get("bundles", {})
    facts = {"rounds": rounds, "shape": list(calls[0]["sample"].shape), "rows": rows}
    earlier = kept.get(folder.name, {})
    if earlier.get("shape") == facts["shape"]:
        facts["rows"] = {**earlier["rows"], **rows}
    tables.publish(SUBJECT, {"bundles": {**kept, folder.name: facts}}, PACKAGES)


def _measured(
    bundle: Path, title: str, calls: Sequence[Call], rounds: int, with_pictures: bool
) -> dict[str, dict[str, Any]]:
    """The row of float32 and that of the variant."""
    original = bundle / "unet" / "model.onnx"
    with tempfile.TemporaryDirectory() as name:
        graphs = {REFERENCE: original, title: write(original, title, calls, _folder(name, "variant"))}
        rows = _timed(graphs, _stored(calls, _folder(name, "calls")), rounds, Path(name))
        if with_pictures:
            made = {side: pictures(bundle, graph) for side, graph in graphs.items()}
            rows[title]["psnr"] = psnr(made[title], made[REFERENCE])
    return rows


def _timed(graphs: Mapping[str, Path], calls: Sequence[str], rounds: int, folder: Path) -> dict[str, dict[str, Any]]:
    outs = {side: _folder(folder, f"out{number}") for number, side in enumerate(graphs)}
    settings = {side: {"graph": str(graphs[side]), "calls": list(calls), "out": str(outs[side])} for side in graphs}
    with workers("bench.low_bits.worker", settings) as measures:
        taken = interleaved(measures, rounds, lambda _text: None, warm_up=1)
    seconds, memory = column(taken, "seconds"), column(taken, "private_mib")
    return {
        side: {
            "seconds": statistics.median(seconds[side]),
            **compare(seconds[REFERENCE], seconds[side]),
            "private_mib": max(memory[side]),
            "disk_mb": round(sum(file.stat().st_size for file in graph.parent.glob("model.onnx*")) / 1e6, 1),
            "rms": _difference(outs[side], outs[REFERENCE]),
        }
        for side, graph in graphs.items()
    }


def _stored(calls: Sequence[Call], folder: Path) -> list[str]:
    chosen = [calls[int(place)] for place in np.linspace(0, len(calls) - 1, min(_COMPARED, len(calls)))]
    for number, call in enumerate(chosen):
        np.savez(folder / f"{number}.npz", allow_pickle=False, **call)
    return [str(folder / f"{number}.npz") for number in range(len(chosen))]


def _difference(ours: Path, reference: Path) -> float:
    """Root mean square of the difference over that of the reference, over all outputs."""
    pairs = [(np.load(ours / file.name), np.load(file)) for file in sorted(reference.glob("*.npy"))]
    return _rms([our - their for our, their in pairs]) / _rms([their for _, their in pairs])


def _rms(arrays: Sequence[NDArray[np.float32]]) -> float:
    return float(np.sqrt(np.mean([np.square(array, dtype=np.float64).mean() for array in arrays])))


def _folder(parent: str | Path, name: str) -> Path:
    folder = Path(parent) / name
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
