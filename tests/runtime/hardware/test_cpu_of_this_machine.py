"""How many threads this machine's graphs get, and how long they spin."""

import os
from pathlib import Path
from typing import Any

import pytest

import ddim_edge
from ddim_edge.runtime.hardware import cpu


def test_this_machine_can_be_read() -> None:
    found = cpu.describe()
    assert found.allowed is None or 1 <= found.allowed <= (os.cpu_count() or 1)
    assert cpu.threads() == found.threads


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")
def test_a_mask_of_one_processor_makes_one_thread() -> None:
    mask = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(mask)})
    try:
        assert cpu.describe(environ={}).chosen == 1
    finally:
        os.sched_setaffinity(0, mask)


_SPINNING = "session.intra_op.allow_spinning"
_FOR = "session.intra_op.spin_duration_us"


@pytest.mark.parametrize(
    ("found", "each_step", "threads", "entry"),
    [
        (cpu.Cpu(cores=4, allowed=4), True, 0, (_FOR, "200")),
        (cpu.Cpu(cores=4, allowed=4), False, 0, (_SPINNING, "0")),
        (cpu.Cpu(cores=4, allowed=2, masked=True), True, 2, (_FOR, "200")),
        (cpu.Cpu(cores=4, allowed=4, quota=3), True, 3, (_SPINNING, "0")),
        (cpu.Cpu(cores=4, allowed=4, quota=3), False, 3, (_SPINNING, "0")),
        (cpu.Cpu(cores=4, allowed=4, quota=8), True, 0, (_FOR, "200")),
    ],
)
def test_a_session_is_told(
    monkeypatch: pytest.MonkeyPatch,
    tiny_bundle: Path,
    found: cpu.Cpu,
    each_step: bool,
    threads: int,
    entry: tuple[str, str],
) -> None:
    monkeypatch.setattr(cpu, "describe", lambda: found)
    session = ddim_edge.Session(tiny_bundle / "unet" / "model.onnx", "cpu", each_step=each_step)
    raw: Any = session.raw
    told = raw.get_session_options()
    assert told.intra_op_num_threads == threads
    assert told.get_session_config_entry(entry[0]) == entry[1]
