"""ONNX Runtime's options of a session and of its runs: threads, optimization and memory, by what the session is for."""

import sys
from enum import Enum
from typing import Any, Self

from ..hardware import cpu
from ..providers.onnxruntime_module import runtime
from ..providers.placement import RECORD_PLACEMENT
from ..providers.table import CPU, Provider
from .shared_arena import SHRINK


class Purpose(Enum):
    """What a session is opened for."""

    INSPECT = "to read what the graph declares, in a second and in little memory"
    EACH_STEP = "to run at every step"
    EACH_STEP_LOW_MEMORY = "to run at every step, in little memory"
    ONCE_PER_IMAGE = "to run once per image"
    ONCE_PER_IMAGE_LOW_MEMORY = "to run once per image, in little memory"

    @property
    def is_low_memory(self) -> bool:
        return self in (Purpose.EACH_STEP_LOW_MEMORY, Purpose.ONCE_PER_IMAGE_LOW_MEMORY)

    @property
    def is_each_step(self) -> bool:
        return self in (Purpose.EACH_STEP, Purpose.EACH_STEP_LOW_MEMORY)

    @classmethod
    def of(cls, each_step: bool, *, low_memory: bool = False) -> Self:
        """The purpose of a network that runs at every step, or else once per image."""
        name = "EACH_STEP" if each_step else "ONCE_PER_IMAGE"
        return cls[f"{name}_LOW_MEMORY" if low_memory else name]


def session_options(purpose: Purpose, threads: int | None = None) -> Any:
    """ONNX Runtime's options of a session; ``threads`` as in ``Device``."""
    options = runtime().SessionOptions()
    options.log_severity_level = 4  # errors are raised, and need not be on stderr too
    options.add_session_config_entry(*RECORD_PLACEMENT)
    processors = cpu.describe()
    options.intra_op_num_threads = threads or processors.threads
    options.add_session_config_entry(*_spinning(purpose, processors))
    if purpose is Purpose.INSPECT:  # do not copy external weights: neither change their layout nor pack them
        options.graph_optimization_level = runtime().GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")
    if purpose.is_low_memory:
        # With it, the second call allocates one block for all activations, in addition to the first call's memory:
        # 5.9 instead of 4.8 GB for Stable Diffusion 1's UNet. Small networks are a fifth faster with it.
        options.enable_mem_pattern = False
    return options


def run_options(provider: Provider, purpose: Purpose) -> Any:
    """The options of each run. A graph that runs once per image frees its arena after each run, which else stays
    as large as the largest run needed.

    On the CPU only, where that was tried, and not on 32-bit systems, where ONNX Runtime has no arena.
    """
    if purpose.is_each_step or provider != CPU or sys.maxsize < 2**32:
        return None
    options = runtime().RunOptions()
    options.add_run_config_entry(*SHRINK)
    return options


def _spinning(purpose: Purpose, processors: cpu.Cpu) -> tuple[str, str]:
    """How long an idle thread spins, waiting for work, before it sleeps.

    ONNX Runtime's default is about 50 ms. That is longer than a call, and slows down both this program and others that
    need the processor. The next work of a graph comes within the 200 µs chosen here, or not before the next step;
    with a tenth of that the steps are some percent slower.
    """
    if not purpose.is_each_step or processors.is_metered:
        return ("session.intra_op.allow_spinning", "0")
    return ("session.intra_op.spin_duration_us", "200")
