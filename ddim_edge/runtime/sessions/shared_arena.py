"""The arena that the sessions of a process share: what one network's call has freed, the next one's call uses.

An arena of its own per session keeps what its largest call needed, so that the memory of all networks adds up. In
regions as small as ONNX Runtime's usual ones the arena also fragments: the next large tensor does not fit where the
last one was, because a small one took a part of it. One large region costs nothing until it is used: the system gives
memory only to pages that are written to.
"""

import functools
import sys
from typing import Any

from ..providers.onnxruntime_module import runtime

_SETTINGS = {
    # The first region is never freed. Small outputs lie in it, and so do not hold the large one when it is freed.
    "initial_chunk_size_bytes": 64 << 20,
    # The size of the next region, once the arena was shrunk for the first time: the most that the option takes.
    "initial_growth_chunk_size_bytes": 2**31 - 256,
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
