"""Picture noise: what is added to the small picture that an upscaler takes, by its level."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..config import NoiseScheduleConfig
from ..diffusion.levels import Level
from ..diffusion.samplers import sampler_config
from ..diffusion.schedule import alpha_bars
from ..errors import BundleError, ConfigError
from .json_files import read_required
from .layout import PICTURE_SCHEDULER


@dataclass(frozen=True)
class PictureNoise:
    """The noise schedule of ``low_res_scheduler``.

    Attributes:
        schedule: its betas.
        highest: the highest level.
    """

    schedule: NoiseScheduleConfig
    highest: int

    @classmethod
    def read(cls, folder: Path, index: Mapping[str, Any]) -> Self:
        """Read a bundle's file; BundleError where it is missing or broken."""
        path = folder / PICTURE_SCHEDULER
        if not path.is_file():
            raise BundleError(f"{path} is missing: it has the noise of the picture. Export or copy it again")
        try:
            schedule = sampler_config(read_required(path), "ddim")
        except ConfigError as error:
            raise BundleError(f"{path}: {error}") from None
        assert isinstance(schedule, NoiseScheduleConfig)
        last, wanted = schedule.num_train_steps - 1, index.get("max_noise_level")
        return cls(schedule, last if wanted is None else min(last, wanted))

    def level(self, number: int) -> Level:
        """The signal and the noise of a level from 0 to ``highest``."""
        bar = float(alpha_bars(self.schedule)[number])
        return Level(math.sqrt(bar), math.sqrt(1 - bar))
