"""Reads the memory that processes use on NVIDIA's GPUs, from the driver."""

from ..runtime.hardware import nvidia
from ..runtime.providers.table import AUTO, ON_NVIDIA


def gpu_of(provider: str) -> int | None:
    """The number of the GPU that a provider, or a device of torch, uses; None where it uses no NVIDIA GPU."""
    name, _, which = provider.partition(":")
    return int(which or 0) if name == AUTO or name in ON_NVIDIA else None


def used_memory(index: int | None) -> int | None:
    """The bytes that all processes together use on a GPU; None where there is no GPU."""
    gpus = nvidia.gpus()
    if index is None or index >= len(gpus):
        return None
    total, free = gpus[index].total_memory, gpus[index].free_memory
    return None if total is None or free is None else total - free


def grown(before: int | None, after: int | None) -> int | None:
    """The growth in bytes, at least 0; None where a value is not known."""
    return None if before is None or after is None else max(after - before, 0)
