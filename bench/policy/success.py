"""Success: over steps, samplers and warm starts, beside PyTorch and beside a regression of the mean."""

from pathlib import Path
from typing import Any

import ddim_edge
from ddim_edge.diffusion.samplers import SamplerConfig

from .deciders import Ours, Torch
from .episodes import AT_ONCE, Decider, Episode, paired_difference, play, rate

STEPS = (1, 2, 4, 8, 16, 100)
DEADLINES_MS = (5, 10, 20, 50)
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
    for deadline in DEADLINES_MS:
        policy = open_policy(bundle, 16, trailing)
        policy.warm_up()
        decider = Ours(policy, deadline=deadline / 1000, on_miss="continue")
        cells[f"ddim trailing, up to 16 steps in {deadline} ms, one ball"] = _cell(decider, episodes, at_once=1)
    return {"episodes": episodes, "cells": cells, "paired": _paired(bundle, trailing, paired)}


def _cell(decider: Decider, episodes: int, at_once: int = AT_ONCE) -> dict[str, Any]:
    played = play(decider, episodes, at_once=at_once)
    reached = [episode for episode in played if episode.is_success]
    cell: dict[str, Any] = {"success": rate(len(reached), len(played))._asdict()}
    cell["steps_to_goal"] = round(sum(one.steps for one in reached) / len(reached), 1) if reached else None
    if isinstance(decider, Ours):
        made = decider.decisions
        cell["calls_a_decision"] = round(sum(one.network_calls for one in made) / len(made), 2)
        cell["late"] = sum(one.is_late for one in made)
        cell["continued"], cell["stopped"] = sum(one.continued for one in made), decider.stopped
        cell["decisions"] = len(made)
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
