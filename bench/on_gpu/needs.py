"""What the machine must have, said before anything starts."""

import importlib.util

import click

from ddim_edge.errors import DdimEdgeError
from ddim_edge.providers import Device

_PACKAGES = {
    "numpy": "numpy",
    "PIL": "pillow",
    "rich": "rich",
    "onnxruntime": "onnxruntime-gpu",
    "torch": "torch",
    "diffusers": "diffusers",
    "transformers": "transformers",
    "safetensors": "safetensors",
    "onnx": "onnx",
    "onnxscript": "onnxscript",
}
"""Modules, and the packages that bring them."""


def check_needs(provider: str) -> None:
    """ClickException, with the command that mends it, where a package, the provider or torch's GPU is missing."""
    missing = [package for module, package in _PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise click.ClickException(f"missing: {', '.join(missing)}. Install: pip install {' '.join(missing)}")
    try:
        list(Device.parse(provider).candidates())
    except DdimEdgeError as error:
        raise click.ClickException(str(error)) from None
    if provider.startswith("cuda"):
        import torch

        if not torch.cuda.is_available():
            raise click.ClickException("torch sees no GPU: install a build of torch for CUDA (pip install torch)")
