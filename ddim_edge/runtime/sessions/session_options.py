"""ONNX Runtime's options of a session and of its runs: threads, optimization and memory, by what the session is for."""

import sys
from enum import Enum
from typing import Any, Self

from ..hardware import cpu
from ..providers.onnxruntime_module import runtime
from ..providers.placement import RECORD_PLACEMENT
from ..providers.table import CPU, Provider


class Purpose(Enum):
    """What a session is opened for, and so how."""

    INSPECT = "to see what the graph declares: a matter of a second, and of little memory"
    EACH_STEP = "to run step after step"
    EACH_STEP_LOW_MEMORY = "to run step after step, in little memory"
    ONCE_PER_IMAGE = "to run once an image"
    ONCE_PER_IMAGE_LOW_MEMORY = "to run once an image, in little memory"

    @property
    def is_low_memory(self) -> bool:
        return self in (Purpose.EACH_STEP_LOW_MEMORY, Purpose.ONCE_PER_IMAGE_LOW_MEMORY)

    @property
    def is_each_step(self) -> bool:
        return self in (Purpose.EACH_STEP, Purpose.EACH_STEP_LOW_MEMORY)

    @classmethod
    def of(cls, each_step: bool, *, low_memory: bool = False) -> Self:
        """The purpose of a network that is called ``each_step`` or else once an image."""
        name = "EACH_STEP" if each_step else "ONCE_PER_IMAGE"
        return cls[f"{name}_LOW_MEMORY" if low_memory else name]


def session_options(purpose: Purpose) -> Any:
    options = runtime().SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; the same again on stderr helps nobody
    options.add_session_config_entry(*RECORD_PLACEMENT)
    processors = cpu.describe()
    options.intra_op_num_threads = processors.threads
    options.add_session_config_entry(*_spinning(purpose, processors))
    if purpose is Purpose.INSPECT:  # weights in a file of their own stay there: neither laid out anew nor packed
        options.graph_optimization_level = runtime().GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")
    if purpose.is_low_memory:
        # From the second call on, one block for all activations would be taken beside what the first call used:
        # 5.9 in the place of 4.8 GB for Stable Diffusion 1's UNet. Small networks are a fifth faster with it.
        options.enable_mem_pattern = False
    return options


def run_options(provider: Provider, purpose: Purpose) -> Any:
    """A graph that is called once an image gives its memory back each time: it would hold the largest one's for ever.

    On the CPU alone, where that was tried, and not where a word has 32 bits: ONNX Runtime has no arena there.
    """
    if purpose.is_each_step or provider != CPU or sys.maxsize < 2**32:
        return None
    options = runtime().RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _spinning(purpose: Purpose, processors: cpu.Cpu) -> tuple[str, str]:
    """How long a thread that has nothing to do looks for work before it sleeps.

    By ONNX Runtime's default that is some 50 ms: beyond the end of a call, and beside any other program that wants the
    processor at the cost of both. A graph's next piece of work comes within less, or not before the next step; with a
    tenth of it the steps lose some percent.
    """
    if not purpose.is_each_step or processors.is_metered:  # would slow the network of the steps down, or use up a quota
        return ("session.intra_op.allow_spinning", "0")
    return ("session.intra_op.spin_duration_us", "200")
