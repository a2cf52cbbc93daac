"""Asked: the options of one decision, checked."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ..config import number, whole_number
from ..errors import ConfigError, choose_from

OnMiss = Literal["error", "continue"]
"""What is done where the deadline is too short for the fewest steps: DeadlineError, or the chunk before goes on."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of one decision, as in ``Policy.act``. Raises ConfigError for wrong values."""

    deadline: float | None = None
    warm_start: float | None = None
    num_steps: int | None = None
    executed: int | None = None
    on_miss: OnMiss = "error"

    def __post_init__(self) -> None:
        if self.deadline is not None:
            number("deadline", self.deadline, low=-math.inf)
        if self.warm_start is not None:
            number("warm_start", self.warm_start, low=0, high=1, open_interval=True)
        if self.executed is not None:
            whole_number("executed", self.executed, low=0)
        if self.on_miss not in get_args(OnMiss):
            raise ConfigError(choose_from("on_miss", self.on_miss, get_args(OnMiss)))
