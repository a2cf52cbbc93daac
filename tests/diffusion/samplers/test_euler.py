"""The Euler samplers beside diffusers' classes, and beside DDIM, whose steps theirs are."""

import itertools
import random
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import ddim_edge
from ddim_edge import DdimConfig, EulerAncestralConfig, EulerConfig
from ddim_edge.diffusion.samplers import first_sample, schedule_of
from ddim_edge.diffusion.schedule import NEARLY_ZERO, alpha_bars
from tests.diffusion.rounding import UNIT

from .test_against_diffusers import compare, network, our_run

Sample = NDArray[np.float32]

# diffusers hands torch tensors to np.array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = (2, 1, 4, 4)
CLASSES = ("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler")
COMMON: dict[str, tuple[Any, ...]] = {
    "timestep_spacing": ("leading", "trailing", "linspace"),
    "steps_offset": (0, 1),
    "prediction_type": ("epsilon", "v_prediction"),
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
    "rescale_betas_zero_snr": (False, True),
}
LEVELS: dict[str, tuple[Any, ...]] = {
    "prediction_type": ("epsilon", "v_prediction", "sample"),
    "final_sigmas_type": ("zero", "sigma_min"),
    "use_karras_sigmas": (False, True),
    "sigma_min": (None, 0.03),
    "sigma_max": (None, 80.0),
}
GRIDS = {CLASSES[0]: COMMON | LEVELS, CLASSES[1]: COMMON}


def drawn(name: str, count: int) -> list[dict[str, Any]]:
    """``count`` points of the grid, with a fixed seed."""
    axes = GRIDS[name]
    points = random.Random(0).sample(list(itertools.product(*axes.values())), count)
    return [dict(zip(axes, point, strict=True)) for point in points]


def both(name: str, options: dict[str, Any]) -> tuple[Any, Any]:
    """Ours, and theirs with our float64 table: theirs has three digits of 1-ᾱ where ᾱ is near 1."""
    config: Any = ddim_edge.sampler_config({"_class_name": name, **options})
    theirs = getattr(diffusers, name)(**options)
    table = alpha_bars(config)
    if options.get("rescale_betas_zero_snr"):
        table[-1] = NEARLY_ZERO
    theirs.alphas_cumprod = torch.from_numpy(table)
    return config, theirs


def their_run(theirs: Any, start: Sample, first: int, fed: list[int]) -> list[Sample]:
    """What diffusers' loop feeds the network, and the result; the network is told the timesteps ``fed``."""
    generator = torch.Generator().manual_seed(3)
    options = {"generator": generator} if type(theirs).__name__ == CLASSES[1] else {}
    sample, samples = torch.from_numpy(start), []
    for position, timestep in zip(theirs.timesteps[first:], fed, strict=True):
        scaled = theirs.scale_model_input(sample, position)
        samples.append(scaled.numpy())
        answer = torch.from_numpy(network(scaled.numpy(), timestep))
        sample = theirs.step(answer, position, sample, **options).prev_sample
    return [*samples, sample.numpy()]


def is_beyond_the_stand_in(config: Any) -> bool:
    """Whether ᾱ's stand-in for 0 lies above that of an earlier timestep: the timestep of a level is then ambiguous."""
    return bool(config.zero_terminal_snr and alpha_bars(config)[-2] < NEARLY_ZERO)


def noise() -> Sample:
    return np.random.default_rng(1).standard_normal(SHAPE, np.float32)


@pytest.mark.parametrize("name", CLASSES)
def test_every_sample_of_a_run_is_diffusers(name: str) -> None:
    for options, num_steps in itertools.product(drawn(name, 60), (1, 4, 9, 20)):
        config, theirs = both(name, options)
        theirs.set_timesteps(num_steps)
        theirs.set_begin_index(0)
        timesteps = schedule_of(config, num_steps).timesteps
        if not is_beyond_the_stand_in(config):
            # theirs are no whole ones where the levels are Karras', or evenly spaced to the last timestep
            assert abs(timesteps - theirs.timesteps.numpy()).max() <= 0.501
        start = np.asarray(noise() * float(theirs.init_noise_sigma))
        expected = their_run(theirs, start, 0, timesteps.tolist())
        ours = our_run(config, num_steps, first_sample(config, num_steps, noise()))
        # theirs keep σ times as large a sample in float32
        tolerance = 2e-5 + 2 * UNIT * float(theirs.sigmas.max())
        compare(ours, expected, f"{options}, {num_steps} steps", tolerance)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("num_steps", [1, 4, 7, 30])
def test_timesteps_are_diffusers_where_theirs_are_whole(name: str, spacing: str, num_steps: int) -> None:
    config, theirs = both(name, {"timestep_spacing": spacing, "steps_offset": 1})
    theirs.set_timesteps(num_steps)
    assert schedule_of(config, num_steps).timesteps.tolist() == theirs.timesteps.tolist()


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("spacing", ["leading", "linspace"])
@pytest.mark.parametrize("strength", [0.3, 0.6, 0.95])
def test_an_image_is_noised_and_changed_as_by_diffusers(name: str, spacing: str, strength: float) -> None:
    config, theirs = both(name, {"timestep_spacing": spacing})
    theirs.set_timesteps(20)
    first = 20 - int(20 * strength)
    theirs.set_begin_index(first)
    schedule = schedule_of(config, 20, strength)
    image, z = np.linspace(-1, 1, noise().size, dtype=np.float32).reshape(SHAPE), noise()
    start = theirs.add_noise(torch.from_numpy(image), torch.from_numpy(z), theirs.timesteps[first : first + 1])
    expected = their_run(theirs, start.numpy(), first, schedule.timesteps.tolist())
    level = schedule.levels[0]
    begin = (level.signal * image + level.noise * z).astype(np.float32)
    compare(our_run(config, 20, begin, strength), expected, name, 2e-4)


@pytest.mark.parametrize(("wanted", "eta"), [(EulerConfig, 0.0), (EulerAncestralConfig, 1.0)])
@pytest.mark.parametrize("options", [{}, {"prediction_type": "angular_velocity"}, {"dynamic_threshold_ratio": 0.8}])
def test_over_whole_timesteps_the_steps_are_ddims(wanted: Any, eta: float, options: dict[str, Any]) -> None:
    common: dict[str, Any] = {"timestep_spacing": "trailing", **options}
    limits: dict[str, Any] = {"clip_denoised_sample": False, "rederive_noise": True}
    ddim = our_run(DdimConfig(eta=eta, transition="next", **limits, **common), 13, noise())
    compare(our_run(wanted(**common), 13, noise()), ddim, str(options), 1e-5)


def test_the_ancestral_form_may_predict_x_0() -> None:
    """Diffusers has not built it; with the same x_0, the network's word for it does not matter."""
    seen = [our_run_with_x_0(EulerAncestralConfig(prediction_type=kind)) for kind in ("sample", "noise")]
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-4)


def our_run_with_x_0(config: EulerAncestralConfig) -> Sample:
    generator = np.random.default_rng(5)
    sampler = ddim_edge.start(config, 9, noise(), lambda: generator.standard_normal(SHAPE, np.float32))
    query = next(sampler)
    for level in schedule_of(config, 9).levels.alpha_bars.tolist():
        answer = np.tanh(query.sample)
        if config.prediction_type == "noise":
            answer = (query.sample - np.sqrt(level) * answer) / np.sqrt(1 - level)
        try:
            query = sampler.send(answer.astype(np.float32))
        except StopIteration as end:
            result: Sample = end.value
            return result
    raise AssertionError("the sampler asks more often than its schedule says")
