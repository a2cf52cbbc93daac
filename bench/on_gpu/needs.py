"""Checks that the machine has the packages and the GPU, before they are imported."""

import importlib.util

_PACKAGES = {
    "numpy": "numpy",
    "PIL": "pillow",
    "click": "click",
    "rich": "rich",
    "onnxruntime": "'onnxruntime-gpu[cuda,cudnn]'",
    "torch": "torch",
    "diffusers": "diffusers",
    "transformers": "transformers",
    "safetensors": "safetensors",
    "onnx": "onnx",
    "onnxscript": "onnxscript",
}
"""Modules and their pip packages."""


def missing_packages() -> str | None:
    """One line with the pip command for the missing packages; None if none is missing."""
    missing = [package for module, package in _PACKAGES.items() if importlib.util.find_spec(module) is None]
    return f"missing here. Install: pip install {' '.join(missing)}" if missing else None


def missing_gpu(provider: str) -> str | None:
    """Why ddim-edge or torch cannot use a GPU; None if both can."""
    from ddim_edge.errors import DdimEdgeError
    from ddim_edge.runtime.providers.device import Device

    try:
        list(Device.parse(provider).candidates())
    except DdimEdgeError as error:
        return str(error)
    import torch

    return None if torch.cuda.is_available() else "torch sees no GPU: install a build of torch for CUDA"
