"""Reads the facts of the NVIDIA driver."""

from dataclasses import asdict
from typing import Any

from ..runtime.hardware import nvidia


def driver_facts() -> dict[str, Any]:
    """The driver's version, the newest CUDA it runs, its GPUs, and ``reason``: why it does not respond, or None."""
    return {
        "driver": nvidia.driver_version(),
        "cuda": nvidia.cuda_version(),
        "gpus": [asdict(gpu) for gpu in nvidia.gpus()],
        "reason": nvidia.driver_fault(),
    }
