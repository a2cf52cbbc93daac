"""Measured: how fast a device runs a network on this machine, and which device is the fastest that may be taken."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..providers.device import Device
from ..providers.precision import CHOSEN_BY_PROVIDER, FLOAT32
from .machine import Machine

SINGLE, GUIDED = "single", "guided"
"""The kinds of calls that are measured: of one image, and of one guided image, which has two rows."""
ALLOWED: Mapping[str, tuple[str, ...]] = {
    FLOAT32: (FLOAT32,),
    "bfloat16": (FLOAT32, "bfloat16"),
    "float16": (FLOAT32, "float16"),
    CHOSEN_BY_PROVIDER: (FLOAT32, "bfloat16", "float16"),
}
"""By the value of ``--precision``, the precisions that a network may compute in where the fastest is taken."""
_CLOSE = 1.02
"""A time that is larger by this factor at most is no difference."""


@dataclass(frozen=True)
class Measured:
    """One device that was measured.

    Attributes:
        provider, which, precision, threads: as in ``Device``; threads is None for the default.
        seconds: the median of a call, by kind; empty where it did not run.
        difference: of its output from that of the CPU in float32, root mean square, relative; None if not compared.
        reason: why it is not taken, whatever its time; None for nothing.
        machine: what it was measured on; None where it did not run.
    """

    provider: str
    which: str | None
    precision: str
    threads: int | None
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    difference: float | None = None
    reason: str | None = None
    machine: Machine | None = None

    @property
    def place(self) -> str:
        """The provider and its device, such as ``openvino:GPU``."""
        return self.provider + (f":{self.which}" if self.which else "")

    @property
    def name(self) -> str:
        """All of the device, such as "openvino:GPU in float32, 2 threads"."""
        threads = f", {self.threads} thread{'' if self.threads == 1 else 's'}" if self.threads else ""
        return f"{self.place} in {self.precision}{threads}"

    @property
    def time(self) -> float:
        """The seconds of the call that decides: that of a guided image, where the model has guidance."""
        return self.seconds.get(GUIDED, self.seconds.get(SINGLE, float("inf")))

    def faults(self) -> list[str]:
        """How this machine differs from the one that it was measured on.

        Raises ProviderError where its provider does not load.
        """
        assert self.machine is not None
        found = Machine.of(self.provider, self.which).differences(self.machine)
        return [text.replace("built for", "measured on").replace("built with", "measured with") for text in found]


def fastest(rows: Sequence[Measured], precision: str) -> Measured | None:
    """The fastest row that ``--precision`` allows, or one before it that is as fast; None where nothing ran."""
    ran = [row for row in rows if row.reason is None and row.seconds and row.precision in ALLOWED[precision]]
    least = min((row.time for row in ran), default=0.0)
    return next((row for row in ran if row.time <= _CLOSE * least), None)


def device_of(row: Measured, asked: Device) -> Device:
    """The device of a row, with what else was ``asked`` for."""
    return dataclasses.replace(
        asked, provider=row.provider, which=row.which, precision=row.precision, threads=row.threads
    )
