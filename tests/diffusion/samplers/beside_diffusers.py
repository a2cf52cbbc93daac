"""A sampler beside diffusers' class: whole runs with a smooth network, and single steps on the same samples.

``Case`` says which class, over which options, and how near. ``runs_compared`` draws points of its grid and compares for
each the timesteps, every sample that the network is fed, and the result; and at the most steps each step alone, from
their sample. Ours keeps the network's input, theirs often σ times as much; so samples are compared as the network is
fed with them, and relative to their size.
"""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray

import ddim_edge
from ddim_edge.config import NoiseScheduleConfig
from ddim_edge.diffusion.samplers import first_sample, schedule_of
from ddim_edge.diffusion.schedule import NEARLY_ZERO, alpha_bars
from tests.diffusion.rounding import UNIT

Sample = NDArray[np.float32]
SHAPE = (2, 1, 4, 4)

SPACINGS = ((), ("use_karras_sigmas",), ("use_exponential_sigmas",), ("use_beta_sigmas",))
BETAS: dict[str, tuple[Any, ...]] = {
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
    "prediction_type": ("epsilon", "v_prediction", "sample"),
    "timestep_spacing": ("leading", "trailing", "linspace"),
    "steps_offset": (0, 1),
}
DPM: dict[str, tuple[Any, ...]] = {
    "solver_order": (1, 2, 3),
    "solver_type": ("midpoint", "heun"),
    "algorithm_type": ("dpmsolver++", "dpmsolver", "sde-dpmsolver++"),
}


def is_sde(options: dict[str, Any]) -> bool:
    return str(options["algorithm_type"]).startswith("sde")


def _no_arguments(_options: dict[str, Any], _num_steps: int) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Case:
    """One class of diffusers and the grid of its options.

    ``tolerance`` is for samples as the network is fed with them, relative to the largest value where that is above 1.
    2 units in the last place of their largest σ are added to it.
    """

    name: str
    grid: dict[str, tuple[Any, ...]]
    tolerance: float
    why: str
    """Why it is no smaller."""
    points: int = 25
    """How many points of the grid are drawn."""
    steps: tuple[int, ...] = (1, 4, 9)
    fresh_noise: Callable[[dict[str, Any]], bool] = lambda _options: False
    """Whether theirs takes a generator with these options."""
    set_timesteps: Callable[[dict[str, Any], int], dict[str, Any]] = _no_arguments
    """More arguments of their set_timesteps."""
    ours: dict[str, Any] = field(default_factory=dict)
    """Our options that stand for an argument of theirs, not for a key of the file."""
    own_table: bool = False
    """Leave theirs its float32 table, where which timestep a level gets depends on its last digit."""
    least: int = 1
    """How many comparisons there must be: points that are refused here are left out."""


def drawn(case: Case) -> list[dict[str, Any]]:
    """Points of the grid, with a fixed seed."""
    product = list(itertools.product(*case.grid.values()))
    points = random.Random(0).sample(product, min(case.points, len(product)))
    return [_with_flags(dict(zip(case.grid, point, strict=True))) for point in points]


def _with_flags(options: dict[str, Any]) -> dict[str, Any]:
    """``spacing``, flags that exclude each other, as these flags."""
    flags = dict.fromkeys(options.pop("spacing", ()), True)
    return {**options, **flags}


def network(sample: Sample, timestep: float, *, variance: bool = False) -> Sample:
    """Smooth and bounded, so that rounding does not grow; with ``variance`` twice the channels, the second half > 0."""
    answer: Sample = np.tanh(sample * np.float32(0.7) + np.float32(0.001) * np.float32(timestep))
    return np.concatenate([answer, np.float32(0.02) + answer**2 / 2], axis=1) if variance else answer


def both(case: Case, options: dict[str, Any]) -> tuple[ddim_edge.SamplerConfig, Any]:
    """Our config, and their scheduler with our float64 table: theirs has three digits of 1-ᾱ where ᾱ is near 1."""
    config = ddim_edge.sampler_config({"_class_name": case.name, **options})
    theirs = getattr(diffusers, case.name).from_config(options)
    if isinstance(config, NoiseScheduleConfig) and hasattr(theirs, "alphas_cumprod") and not case.own_table:
        table = alpha_bars(config)
        if options.get("rescale_betas_zero_snr"):
            table[-1] = NEARLY_ZERO
        theirs.alphas_cumprod = torch.from_numpy(table)
    return config.replace(**case.ours), theirs


def runs_compared(case: Case) -> int:
    """Compare all drawn points at all numbers of steps, each of which must agree. Returns how many runs there were."""
    return sum(_check(case, options, steps) for options in drawn(case) for steps in case.steps)


def _check(case: Case, options: dict[str, Any], num_steps: int) -> bool:
    where = f"{options}, {num_steps} steps"
    try:
        config, theirs = both(case, options)
        schedule = schedule_of(config, num_steps)
    except (ddim_edge.ConfigError, ValueError):  # a few are refused there, and not here
        return False
    theirs.set_timesteps(num_steps, **case.set_timesteps(options, num_steps))
    if hasattr(theirs, "set_begin_index"):
        theirs.set_begin_index(0)
    times = theirs.timesteps.numpy()
    np.testing.assert_allclose(schedule.timesteps, times, rtol=1e-5, atol=2e-3, err_msg=where)
    noise = np.random.default_rng(1).standard_normal(SHAPE, np.float32)
    start = np.asarray(noise * float(getattr(theirs, "init_noise_sigma", 1.0)))
    expected = their_run(theirs, start, fresh=case.fresh_noise(options))
    first = first_sample(config, num_steps, noise)
    # At the most steps, ours goes on from their sample at each call: then no error of an earlier step is in the way.
    ours = our_run(config, num_steps, first, expected if num_steps == max(case.steps) else None)
    # Theirs in σ-space keep σ times as large a sample in float32.
    tolerance = case.tolerance + 2 * UNIT * float(theirs.sigmas.max() if hasattr(theirs, "sigmas") else 0)
    for call, (our, their) in enumerate(zip(ours, expected, strict=True)):
        assert np.isfinite(our).all(), f"{where}: call {call}"
        scale = max(1.0, float(abs(their).max()))
        error = abs(our - their).max() / scale
        assert error <= tolerance, f"{where}: call {call}: {error:.2g}"
    return True


def our_run(
    config: ddim_edge.SamplerConfig, num_steps: int, start: Sample, fed: list[Sample] | None = None
) -> list[Sample]:
    """Every sample that the network is fed, and the result. With ``fed`` each call is made for its sample instead."""
    generator = torch.Generator().manual_seed(3)
    sampler = ddim_edge.start(config, num_steps, start, lambda: torch.randn(SHAPE, generator=generator).numpy())
    query, samples = next(sampler), list[Sample]()
    while True:
        samples.append(query.sample.copy())
        if fed is not None:
            query.sample[...] = fed[len(samples) - 1]
        try:
            query = sampler.send(network(query.sample, query.timestep, variance=config.takes_variance))
        except StopIteration as stop:
            return [*samples, stop.value]


def their_run(theirs: Any, start: Sample, *, fresh: bool) -> list[Sample]:
    """The same from diffusers' loop."""
    options = {"generator": torch.Generator().manual_seed(3)} if fresh else {}
    learned = str(theirs.config.get("variance_type")).startswith("learned")
    sample, samples = torch.from_numpy(start), []
    for timestep in theirs.timesteps:
        fed = theirs.scale_model_input(sample, timestep) if hasattr(theirs, "scale_model_input") else sample
        samples.append(fed.numpy())
        answer = torch.from_numpy(network(fed.numpy(), float(timestep), variance=learned))
        sample = theirs.step(answer, timestep, sample, **options).prev_sample
    return [*samples, sample.numpy()]
