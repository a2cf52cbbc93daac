"""``python -m bench.stable_diffusion BUNDLE SOURCE``: one image, each side in a process of its own."""

import os
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import tables
from ..harness import run_once
from .worker import KINDS

PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "torch", "diffusers", "transformers")
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_NETWORKS = ("unet", "text_encoder", "vae_decoder")


@click.command()
@click.argument("bundle", type=_FOLDER)
@click.argument("source", type=_FOLDER)
@click.option("--num-steps", default=2)
@click.option("--shared", is_flag=True, help="Note in the result that other programs ran at the same time.")
def main(bundle: Path, source: Path, num_steps: int, shared: bool) -> None:
    """Make one image with BUNDLE, and with diffusers from SOURCE, the folder that BUNDLE was exported from.

    \b
    python -m bench.stable_diffusion stable-diffusion-1-bundle stable-diffusion-1
    """
    # Torch would follow a thread limit that ONNX Runtime does not: both choose their threads by themselves.
    os.environ.pop("OMP_NUM_THREADS", None)
    sides, made = {}, {}
    with tempfile.TemporaryDirectory() as name:
        for kind in KINDS:
            folder, out = source if kind == "diffusers" else bundle, Path(name) / f"{kind}.npz"
            settings = {"kind": kind, "folder": str(folder.resolve()), "num_steps": num_steps, "out": str(out)}
            sides[kind] = run_once("bench.stable_diffusion.worker", settings)
            made[kind] = dict(np.load(out))
            click.echo(f"{kind}: {sides[kind]}", err=True)
    record = {
        "num_steps": num_steps,
        "machine_was_shared": shared,
        "weights_mib": round(_weights(bundle) / 2**20),
        "sides": sides,
        "parity": _parity(made["ours"], made["diffusers"]),
        "low_memory_is_equal": _same(made["ours"], made["low-memory"]),
    }
    tables.publish("stable_diffusion", record, PACKAGES)


def _weights(bundle: Path) -> int:
    """Bytes of the networks that text-to-image needs."""
    return sum(path.stat().st_size for name in _NETWORKS for path in (bundle / name).glob("model.onnx*"))


def _parity(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    """Largest differences: of the sample after the first step and after the last, and of the image in grey levels."""
    samples = np.abs(ours["samples"] - theirs["samples"]).max(axis=(1, 2, 3, 4))
    image = np.abs(ours["image"] - np.round(theirs["image"])).max()
    return {"first_step": float(samples[0]), "last_step": float(samples[-1]), "image": float(image)}


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in ("samples", "image"))


if __name__ == "__main__":
    main()
