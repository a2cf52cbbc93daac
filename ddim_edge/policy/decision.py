"""Decision: how the last actions of a policy came about."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision, of one robot or of several together.

    Attributes:
        num_steps: the number of steps that was chosen; of a warm start only some of them are made. 0 if ``continued``.
        network_calls: how many calls of the denoiser were made.
        continued: whether these actions are the rest of the chunk before, because the deadline was too short.
        warm_start: the noise level that the chunk before started it at; None where it started from noise alone.
        deadline: in seconds; None without one.
        seconds: how long the decision took.
    """

    num_steps: int
    network_calls: int
    continued: bool
    warm_start: float | None
    deadline: float | None
    seconds: float

    @property
    def is_late(self) -> bool:
        """Whether it took longer than its deadline."""
        return self.deadline is not None and self.seconds > self.deadline
