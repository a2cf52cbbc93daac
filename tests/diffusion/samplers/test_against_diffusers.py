"""Whole runs of every sampler beside diffusers' class, over a grid of its options."""

import itertools
import random
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import ddim_edge
from ddim_edge.diffusion.samplers import schedule_of
from ddim_edge.diffusion.schedule import NEARLY_ZERO, alpha_bars

Sample = NDArray[np.float32]

# diffusers hands torch tensors to np.array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

_SHAPE = (2, 1, 4, 4)
_COMMON: dict[str, tuple[Any, ...]] = {
    "prediction_type": ("epsilon", "v_prediction", "sample"),
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
}
_SPACED: dict[str, tuple[Any, ...]] = {
    "timestep_spacing": ("leading", "trailing", "linspace"),
    "steps_offset": (0, 1),
    **_COMMON,
}
_LIMITED: dict[str, tuple[Any, ...]] = {"thresholding": (False, True), "sample_max_value": (1.0, 1.5)}
_SOLVER: dict[str, tuple[Any, ...]] = {
    "lower_order_final": (True, False),
    "final_sigmas_type": ("zero", "sigma_min"),
    "rescale_betas_zero_snr": (False, True),
    **_SPACED,
    **_LIMITED,
}
_GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "DDIMScheduler": {"clip_sample": (True, False), "set_alpha_to_one": (True, False), **_SPACED, **_LIMITED},
    "DDPMScheduler": {
        "variance_type": ("fixed_small", "fixed_small_log", "fixed_large"),
        "clip_sample": (True, False),
        **_SPACED,
        **_LIMITED,
    },
    "PNDMScheduler": {
        "skip_prk_steps": (True, False),
        "set_alpha_to_one": (True, False),
        **_SPACED,
        "prediction_type": ("epsilon", "v_prediction"),
    },
    "LCMScheduler": {
        "clip_sample": (True, False),
        "original_inference_steps": (50, 100),
        "timestep_scaling": (10.0, 1.0),
        **_COMMON,
        **_LIMITED,
    },
    "DPMSolverMultistepScheduler": _SOLVER,
    "UniPCMultistepScheduler": {"solver_type": ("bh1", "bh2"), **_SOLVER},
}
_LEAST = {"PNDMScheduler": 4}
_RANDOM = ("DDPMScheduler", "LCMScheduler")


def drawn(name: str, count: int) -> list[dict[str, Any]]:
    """``count`` points of the grid, with a fixed seed."""
    axes = _GRIDS[name]
    points = random.Random(0).sample(list(itertools.product(*axes.values())), count)
    return [dict(zip(axes, point, strict=True)) for point in points]


def network(sample: Sample, timestep: float) -> Sample:
    """Smooth and bounded, so that rounding does not grow."""
    answer: Sample = np.tanh(sample * np.float32(0.7) + np.float32(0.001 * timestep))
    return answer


def our_run(config: ddim_edge.SamplerConfig, num_steps: int, start: Sample, strength: float = 1.0) -> list[Sample]:
    """Every sample that the network is asked about, and the result."""
    generator = torch.Generator().manual_seed(3)
    sampler = ddim_edge.start(
        config, num_steps, start, lambda: torch.randn(_SHAPE, generator=generator).numpy(), strength
    )
    query, samples = next(sampler), list[Sample]()
    while True:
        samples.append(query.sample)
        try:
            query = sampler.send(network(query.sample, query.timestep))
        except StopIteration as stop:
            return [*samples, stop.value]


def their_run(theirs: Any, timesteps: list[int], start: Sample) -> list[Sample]:
    """The same from diffusers' loop."""
    options = {"generator": torch.Generator().manual_seed(3)} if type(theirs).__name__ in _RANDOM else {}
    sample, samples = torch.from_numpy(start), [start]
    for timestep in timesteps:
        answer = torch.from_numpy(network(sample.numpy(), timestep))
        sample = theirs.step(answer, timestep, sample, **options).prev_sample
        samples.append(sample.numpy())
    return samples


def with_our_table(theirs: Any, config: Any) -> Any:
    """Theirs in float32 has three digits of 1-ᾱ where ᾱ is near 1; the formulas are what is compared here."""
    table = alpha_bars(config)
    if isinstance(config, ddim_edge.DpmppConfig | ddim_edge.UnipcConfig) and config.zero_terminal_snr:
        table[-1] = NEARLY_ZERO
    theirs.alphas_cumprod = torch.from_numpy(table)
    if config.alpha_clip_strategy == "alpha_zero" and hasattr(theirs, "final_alpha_cumprod"):
        theirs.final_alpha_cumprod = theirs.alphas_cumprod[0]
    return theirs


def compare(ours: list[Sample], theirs: list[Sample], where: str, tolerance: float) -> None:
    for step, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        scale = max(1.0, float(abs(our).max()))
        assert np.all(np.isfinite(our)), f"{where} before call {step}"
        assert abs(our - their).max() <= tolerance * scale, f"{where} before call {step}"


def check(name: str, options: dict[str, Any], num_steps: int) -> bool:
    """Compare one run; False where the options are refused here (ᾱ = 0 with epsilon, zero without a lower order)."""
    try:
        config = ddim_edge.sampler_config({"_class_name": name, **options})
        schedule = schedule_of(config, num_steps)
    except ddim_edge.ConfigError:
        return False
    theirs = with_our_table(getattr(diffusers, name)(**options), config)
    theirs.set_timesteps(num_steps)
    timesteps = theirs.timesteps.tolist()
    assert timesteps == schedule.timesteps.tolist(), (options, num_steps)
    start = np.random.default_rng(1).standard_normal(_SHAPE, np.float32)
    ours, expected = our_run(config, num_steps, start), their_run(theirs, timesteps, start)
    if name == "DDPMScheduler" and timesteps[-1] > 0:
        # Theirs adds noise after its last step, too, unless that is timestep 0.
        ours, expected = ours[:-1], expected[:-1]
    if np.isnan(expected[-1]).all():
        # With bh1 their B(h) is infinite at a step to zero noise, and weighs a difference of 0.
        assert options["solver_type"] == "bh1"
        assert options["final_sigmas_type"] == "zero"
        ours, expected = ours[:-1], expected[:-1]
    # Where ᾱ is nearly 0, diffusers' PNDM subtracts two large float32 terms.
    compare(ours, expected, f"{options}, {num_steps} steps", 2e-3 if name == "PNDMScheduler" else 2e-4)
    return True


@pytest.mark.parametrize("name", [name for name in _GRIDS if name != "DDIMScheduler"])
def test_every_sample_of_a_run_is_diffusers(name: str) -> None:
    least = _LEAST.get(name, 1)
    compared = sum(check(name, options, steps) for options in drawn(name, 40) for steps in (least, 9, 20))
    assert compared >= 60


@pytest.mark.parametrize(
    "name", ["DDIMScheduler", "DDPMScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"]
)
@pytest.mark.parametrize("strength", [0.3, 0.6, 0.95])
def test_strength_leaves_the_steps_that_diffusers_image_to_image_leaves(name: str, strength: float) -> None:
    theirs = getattr(diffusers, name)()
    theirs.set_timesteps(20)
    first = 20 - int(20 * strength)
    if hasattr(theirs, "set_begin_index"):
        theirs.set_begin_index(first)
    timesteps = theirs.timesteps[first:].tolist()
    config = ddim_edge.sampler_config({**theirs.config, "_class_name": name})
    assert schedule_of(config, 20, strength).timesteps.tolist() == timesteps
    start = np.random.default_rng(1).standard_normal(_SHAPE, np.float32)
    compare(our_run(config, 20, start, strength), their_run(theirs, timesteps, start), name, 1e-3)


@pytest.mark.parametrize("name", ["DPMSolverMultistepScheduler", "UniPCMultistepScheduler"])
@pytest.mark.parametrize("betas", ["linear", "scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("final", ["zero", "sigma_min"])
@pytest.mark.parametrize("ends", [{}, {"sigma_min": 0.03, "sigma_max": 80.0}])
def test_karras_levels_are_diffusers(name: str, betas: str, final: str, ends: dict[str, float]) -> None:
    compared = 0
    for num_steps in (2, 5, 10, 20, 25):
        options = {"use_karras_sigmas": True, "beta_schedule": betas, "final_sigmas_type": final, **ends}
        theirs = getattr(diffusers, name).from_config(options)
        theirs.set_timesteps(num_steps)
        theirs.set_begin_index(0)  # else theirs leaves the first step out where the second has the same timestep
        config = ddim_edge.sampler_config({"_class_name": name, **options})
        timesteps = schedule_of(config, num_steps).timesteps
        # Where a level lies next to half a timestep, the last digit of a float32 table decides.
        assert abs(timesteps - theirs.timesteps.numpy()).max() <= 1
        if timesteps.tolist() == theirs.timesteps.tolist():
            start = np.random.default_rng(1).standard_normal(_SHAPE, np.float32)
            ours, expected = our_run(config, num_steps, start), their_run(theirs, timesteps.tolist(), start)
            compare(ours, expected, f"{options}, {num_steps} steps", 1e-3)
            compared += 1
    assert compared >= 3


@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
def test_lcm_takes_its_timesteps_from_the_part_that_strength_leaves(strength: float) -> None:
    theirs = diffusers.LCMScheduler()
    theirs.set_timesteps(4, strength=strength)
    assert schedule_of(ddim_edge.LcmConfig(), 4, strength).timesteps.tolist() == theirs.timesteps.tolist()


def test_pndm_begins_its_warm_up_at_the_first_step_that_is_left() -> None:
    whole = schedule_of(ddim_edge.PndmConfig(reduce_warmup=True), 10).timesteps.tolist()
    left = schedule_of(ddim_edge.PndmConfig(reduce_warmup=True), 10, 0.5).timesteps.tolist()
    assert whole == [900, 800, 800, 700, 600, 500, 400, 300, 200, 100, 0]
    assert left == [400, 300, 300, 200, 100, 0]
    full = schedule_of(ddim_edge.PndmConfig(), 10, 0.5).timesteps.tolist()
    assert full == [400, 350, 350, 300, 300, 250, 250, 200, 200, 150, 150, 100, 100, 0]
