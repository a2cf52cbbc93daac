"""Success: over steps, samplers and warm starts, beside PyTorch and beside a regression of the mean."""

from pathlib import Path
from typing import Any

import ddim_edge
from ddim_edge.diffusion.samplers import SamplerConfig

from .deciders import Ours, Torch
from .episodes import Decider, Episode, paired_difference, play, rate

STEPS = (1, 2, 4, 8, 16, 100)
_FACTOR = 3.0
"""The range_factor of all: an unclipped sampler's overshoot is not what is measured here."""


def open_policy(bundle: Path, num_steps: int, sampler: str | SamplerConfig | None = None) -> ddim_edge.Policy:
    """A policy that is not warmed up."""
    return ddim_edge.load_policy(
        bundle, "cpu", num_steps=num_steps, sampler=sampler, warm_up=False, range_factor=_FACTOR
    )


def measure(bundle: Path, lerobot: Path, mean: Path, episodes: int, paired: int) -> dict[str, Any]:
    """The rates of all cells, each over ``episodes`` starts; 8 beside 100 steps over ``paired``."""
    cells: dict[str, Any] = {}
    own = ddim_edge.load_policy(bundle, "cpu", warm_up=False).bundle.own_sampler
    trailing = own.replace(timestep_spacing="trailing")
    for steps in STEPS:
        cells[f"ddim, {steps} steps"] = _cell(Ours(open_policy(bundle, steps)), episodes)
        cells[f"PyTorch, ddim, {steps} steps"] = _cell(Torch(lerobot, bundle, steps), episodes)
        cells[f"ddim trailing, {steps} steps"] = _cell(Ours(open_policy(bundle, steps, trailing)), episodes)
    cells["ddpm, 100 steps"] = _cell(Ours(open_policy(bundle, 100, "ddpm")), episodes)
    cells["dpmpp-2m, 8 steps"] = _cell(Ours(open_policy(bundle, 8, "dpmpp-2m")), episodes)
    for part in (0.3, 0.5):
        cells[f"ddim trailing, 8 steps, warm start {part}"] = _cell(
            Ours(open_policy(bundle, 8, trailing), warm_start=part), episodes
        )
    cells["regression of the mean"] = _cell(Ours(open_policy(mean, 1)), episodes)
    return {"episodes": episodes, "cells": cells, "paired": _paired(bundle, trailing, paired)}


def _cell(decider: Decider, episodes: int) -> dict[str, Any]:
    played = play(decider, episodes)
    reached = [episode for episode in played if episode.is_success]
    cell: dict[str, Any] = {"success": rate(len(reached), len(played))._asdict()}
    cell["steps_to_goal"] = round(sum(one.steps for one in reached) / len(reached), 1) if reached else None
    if isinstance(decider, Ours):
        cell["calls_a_decision"] = round(sum(decider.calls) / len(decider.calls), 2)
    cell["reached"] = [one.is_success for one in played]
    return cell


def _paired(bundle: Path, sampler: SamplerConfig, episodes: int) -> dict[str, Any]:
    """8 steps beside 100 on the same starts."""
    played: dict[int, list[Episode]] = {
        steps: play(Ours(open_policy(bundle, steps, sampler)), episodes) for steps in (8, 100)
    }
    rates = {
        str(steps): rate(sum(one.is_success for one in all_), episodes)._asdict() for steps, all_ in played.items()
    }
    return {"episodes": episodes, "rates": rates, "difference": paired_difference(played[8], played[100])._asdict()}
