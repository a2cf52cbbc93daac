"""The memory of NVIDIA's GPUs, as the driver tells it to whoever asks, of any process."""

from ..runtime.hardware import nvidia
from ..runtime.providers.table import AUTO, ON_NVIDIA


def gpu_of(provider: str) -> int | None:
    """The number of the GPU that a provider, or a device of torch, uses; None for one that uses no GPU of NVIDIA's."""
    name, _, which = provider.partition(":")
    return int(which or 0) if name == AUTO or name in ON_NVIDIA else None


def used_memory(index: int | None) -> int | None:
    """Bytes that all processes together hold of the GPU; None where there is none."""
    gpus = nvidia.gpus()
    if index is None or index >= len(gpus):
        return None
    total, free = gpus[index].total_memory, gpus[index].free_memory
    return None if total is None or free is None else total - free


def grown(before: int | None, after: int | None) -> int | None:
    """By how much; None where it was not told."""
    return None if before is None or after is None else max(after - before, 0)
