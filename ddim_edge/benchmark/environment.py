"""The environment of a measurement: time, machine, versions."""

import os
import platform
from datetime import UTC, datetime
from typing import Any

from ..runtime.hardware import nvidia
from ..runtime.hardware.cpu_name import cpu_model
from ..version import __version__, package_version

_PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "openvino", "torch", "diffusers", "transformers")


def environment() -> dict[str, Any]:
    """The machine, the time, and the versions of what is installed."""
    versions = {"ddim-edge": __version__, "python": platform.python_version()}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "platform": platform.platform(), "gpus": gpus()},
        "versions": versions | {name: found for name in _PACKAGES if (found := package_version(name))},
    }


def gpus() -> list[str]:
    """The names of NVIDIA's GPUs; empty without any."""
    return [gpu.name for gpu in nvidia.gpus()]
