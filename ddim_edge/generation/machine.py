"""The kind of machine that makes images: what may change an image by a rounding error."""

import numpy as np

from ..runtime.compiled.machine import cuda_device
from ..runtime.hardware import cpu
from ..runtime.hardware.cpu_name import instruction_set
from ..runtime.providers.onnxruntime_module import runtime
from ..runtime.providers.table import provider_named
from ..version import __version__
from .pipeline import Pipeline


def machine_of(pipeline: Pipeline) -> dict[str, str]:
    """The kind of machine that ``pipeline`` runs on, by the names that ``run.json`` has.

    Machines of the same entry make the same images to the last bit.
    """
    device = pipeline.device
    facts = {
        "provider": pipeline.provider,
        "precision": pipeline.precision,
        "ddim-edge": __version__,
        "onnxruntime": str(runtime().__version__),
        "numpy": np.__version__,
        "instruction set": instruction_set(),
        "threads": str(device.threads or cpu.describe().chosen or "default"),
    }
    if not provider_named(pipeline.provider).is_nvidia:
        return facts
    which = device.which if device.provider == pipeline.provider else None
    return {**facts, "gpu": cuda_device(int(which or 0))[0]}
