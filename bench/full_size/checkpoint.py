"""Stable-diffusion.cpp's single file, made by its own converter from a diffusers folder, in its own environment."""

import importlib
import sys
from pathlib import Path


def convert(source: Path, out: Path, kind: str) -> None:
    """Write ``out`` (GGUF) with the weights in ``kind``: ``f16`` or ``q8_0``."""
    out.parent.mkdir(parents=True, exist_ok=True)
    package = importlib.import_module("stable_diffusion_cpp")
    if not package.StableDiffusion().convert(str(source), output_path=str(out), output_type=kind):
        raise SystemExit(f"stable-diffusion.cpp could not convert {source} to {kind}")


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
