"""What the machine must have, said before anything of it is imported."""

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
"""Modules, and what pip installs for them."""


def missing_packages() -> str | None:
    """One line with the command that installs what is missing; None where nothing is."""
    missing = [package for module, package in _PACKAGES.items() if importlib.util.find_spec(module) is None]
    return f"missing here. Install: pip install {' '.join(missing)}" if missing else None


def missing_gpu(provider: str) -> str | None:
    """Why ours or torch has no GPU here; None where both may have one."""
    from ddim_edge.errors import DdimEdgeError
    from ddim_edge.runtime.providers.device import Device

    try:
        list(Device.parse(provider).candidates())
    except DdimEdgeError as error:
        return str(error)
    import torch

    return None if torch.cuda.is_available() else "torch sees no GPU: install a build of torch for CUDA"
