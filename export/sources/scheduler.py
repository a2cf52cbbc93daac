"""The scheduler config of a bundle: the source's own, one that was given, or plain DDIM if that may be assumed."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddim_edge.bundle.defaults import default_steps_of
from ddim_edge.config import read_json
from ddim_edge.diffusion.samplers import SAMPLERS, DdimConfig, sampler_config, schedule_of
from ddim_edge.errors import ConfigError

from ..config_keys import Config

SchedulerFile = str | os.PathLike[str] | Mapping[str, Any]
"""A scheduler_config.json: its path or its contents."""

ASSUMED: Config = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "prediction_type": "epsilon",
    "clip_sample": True,
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "timestep_spacing": "leading",
}


class SchedulerWarning(UserWarning):
    """The scheduler of a source is not built here: its bundle runs only with another sampler."""


@dataclass(frozen=True, kw_only=True)
class Scheduler:
    """A scheduler config and where it is from: "source", "given" or "assumed"."""

    keys: Config
    origin: str


def choose_scheduler(own: Path, given: SchedulerFile | None, *, assume_ddim: bool) -> Scheduler:
    """The config in ``given``, else in the source's ``own`` file, else the assumed one if it may be assumed.

    ConfigError where there is none, and where the options contradict each other or the source.
    """
    if given is not None and assume_ddim:
        raise ConfigError("--scheduler and --assume-ddim exclude each other: leave one of them out")
    if given is not None:
        return Scheduler(keys=read_json(given), origin="given")
    if not assume_ddim and own.exists():
        return Scheduler(keys=read_json(own), origin="source")
    if own.exists():
        raise ConfigError(f"--assume-ddim: the source has a scheduler, {own}; leave the option out")
    if not assume_ddim:
        raise ConfigError(
            f"there is no {own}, so the noise schedule that the network was trained on, and what it predicts, are "
            "unknown: give --scheduler FILE with diffusers' keys, or --assume-ddim for 1000 steps of linear betas from "
            "0.0001 to 0.02 and prediction_type epsilon"
        )
    return Scheduler(keys=ASSUMED, origin="assumed")


def check_scheduler(keys: Config) -> None:
    """Give a SchedulerWarning if only other samplers run a model with this config; ConfigError if none does."""
    problem = _problem(keys)
    if problem is None:
        return
    problems = {name: _problem(keys, name) for name in SAMPLERS}
    usable = [name for name, reason in problems.items() if reason is None]
    if not usable:
        reason = str(problems[DdimConfig.name]).rstrip(".")
        raise ConfigError(
            f"no sampler runs this model: scheduler_config.json: {reason}. Give another by --scheduler FILE"
        )
    warnings.warn(
        f"the bundle will run only with another sampler, as in `run --sampler {usable[0]}`: scheduler_config.json: "
        f"{problem}",
        SchedulerWarning,
        stacklevel=2,
    )


def _problem(keys: Config, sampler: str | None = None) -> str | None:
    """Why a sampler, by default the config's own, cannot run a model with this config; None if it can."""
    try:
        config = sampler_config(keys, sampler)
        schedule_of(config, default_steps_of(config))
    except ConfigError as error:
        return str(error)
    return None
