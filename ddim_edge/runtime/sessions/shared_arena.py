"""The arena that the sessions of a process share: what one network's call has freed, the next one's call uses.

An arena of its own per session keeps what its largest call needed, so that the memory of all networks adds up. In
regions as small as ONNX Runtime's usual ones the arena also fragments: the next large tensor does not fit where the
last one was, because a small one took a part of it. One large region costs nothing until it is used: the system gives
memory only to pages that are written to.
"""

import functools
import sys
from typing import Any

import numpy as np

from ..providers.onnxruntime_module import runtime
from ..providers.table import CPU

_SETTINGS = {
    # The first region is never freed. Small outputs lie in it, and so do not hold the large one when it is freed.
    "initial_chunk_size_bytes": 64 << 20,
    # The size of the next region after the arena was shrunk: the most that the option takes.
    "initial_growth_chunk_size_bytes": 2**31 - 256,
    "max_dead_bytes_per_chunk": 1 << 20,
}
_SHARED = "session.use_env_allocators", "1"
_IDENTITY = (
    b'\x08\x08:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)
"""An ONNX graph of one node, Identity, from x to y, float32 (1,)."""
SHRINK = "memory.enable_memory_arena_shrinkage", "cpu:0"
"""The entry of run options that frees what is unused of the arena after the run."""


def share_arena(options: Any) -> None:
    """Let a session with these options use the shared arena. Only on Linux, where unused address space is free."""
    if sys.platform == "linux" and sys.maxsize > 2**32:
        _register()
        options.add_session_config_entry(*_SHARED)


@functools.cache
def _register() -> None:
    """Register the arena with ONNX Runtime, once a process, and shrink it for the first time."""
    ort = runtime()
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(_SETTINGS))
    options, shrinking = ort.SessionOptions(), ort.RunOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry(*_SHARED)
    shrinking.add_run_config_entry(*SHRINK)
    session = ort.InferenceSession(_IDENTITY, options, providers=[CPU.ort_name])
    session.run(None, {"x": np.zeros(1, np.float32)}, shrinking)
