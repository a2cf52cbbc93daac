"""Stable-diffusion.cpp's single file, made by its own converter from a diffusers folder or from another such file."""

import importlib
import sys
from pathlib import Path


def convert(source: Path, out: Path) -> None:
    """Write ``out``, such as ``q8_0.gguf``, with the weights in the type that its name says."""
    out.parent.mkdir(parents=True, exist_ok=True)
    package = importlib.import_module("stable_diffusion_cpp")
    if not package.StableDiffusion().convert(str(source), output_path=str(out), output_type=out.stem):
        raise SystemExit(f"stable-diffusion.cpp could not convert {source} to {out.stem}")


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
