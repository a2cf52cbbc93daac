"""The arena that the sessions of a process share: what one network's call has freed, the next one's call uses.

An arena of its own per session keeps what its largest call needed, so that the memory of all networks adds up. In
small regions the arena also fragments: the next large tensor does not fit where the last one was, because a small one
took a part of it. Stable Diffusion 1.5's UNet takes twice as much with ONNX Runtime's usual regions. One large region
costs nothing until it is used: the system gives memory only to pages that are written to.
"""

import functools
import sys
from typing import Any

from ..providers.onnxruntime_module import runtime

_REGION = 2**31 - 1
"""Bytes of address space of the first region, the most that ONNX Runtime takes here."""
_SETTINGS = {
    "initial_chunk_size_bytes": _REGION,
    "initial_growth_chunk_size_bytes": _REGION,  # after the region was freed
    "max_dead_bytes_per_chunk": 1 << 20,
}


def share_arena(options: Any) -> None:
    """Let a session with these options use the shared arena. Only on Linux, where unused address space is free."""
    if sys.platform == "linux" and sys.maxsize > 2**32:
        _register()
        options.add_session_config_entry("session.use_env_allocators", "1")


@functools.cache
def _register() -> None:
    """Register the arena with ONNX Runtime, once a process."""
    ort = runtime()
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(_SETTINGS))
