"""Guidance: its formula, its contrast taken back, and the noise levels that it is limited to."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ddim_edge
from ddim_edge.diffusion.guidance import guided_timesteps, rescale
from ddim_edge.diffusion.schedule import alpha_bars
from tests.helpers.counting import CountingSession


def reference(guided: torch.Tensor, conditional: torch.Tensor, share: float) -> torch.Tensor:
    """Lin et al. 2023, eq. 14 to 16, as diffusers' rescale_noise_cfg writes them."""
    axes = list(range(1, conditional.ndim))
    matched = guided * (conditional.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True))
    return share * matched + (1 - share) * guided


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_rescaling_is_the_papers(share: float) -> None:
    guided, conditional = np.random.default_rng(0).standard_normal((2, 3, 2, 8, 8), np.float32) * np.float32(2)
    expected = reference(torch.from_numpy(guided), torch.from_numpy(conditional), share).numpy()
    found = rescale(guided, conditional, np.full(3, share, np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    if share == 1:
        np.testing.assert_allclose(found.std(axis=(1, 2, 3)), conditional.std(axis=(1, 2, 3)), rtol=1e-5)


def test_a_constant_prediction_is_left_as_it_is() -> None:
    guided = np.full((2, 1, 4, 4), 3, np.float32)
    conditional = np.random.default_rng(0).standard_normal((2, 1, 4, 4), np.float32)
    np.testing.assert_array_equal(rescale(guided, conditional, np.array([0, 1], np.float32)), guided)


@given(low=st.floats(0, 50), width=st.floats(0.5, 100))
def test_the_guided_timesteps_are_those_between_the_levels(low: float, width: float) -> None:
    config = ddim_edge.DdimConfig()
    bars = alpha_bars(config)
    sigmas = np.sqrt((1 - bars) / bars)
    wanted = np.flatnonzero((sigmas > low) & (sigmas <= low + width)).tolist()
    inside = guided_timesteps(config, (low, low + width))
    assert inside is not None
    assert [time for time in range(config.num_train_steps) if time in inside] == wanted
    assert guided_timesteps(config, None) is None


def test_levels_that_the_model_has_not_are_refused() -> None:
    with pytest.raises(ddim_edge.ConfigError, match=r"contains no noise level of this model: they go from 0.01 to 157"):
        guided_timesteps(ddim_edge.DdimConfig(), (200, 300))


def test_a_step_outside_the_interval_costs_one_row(tiny_bundle: Path) -> None:
    pipeline = ddim_edge.load(tiny_bundle, "cpu")
    session = CountingSession(tiny_bundle / "unet" / "model.onnx")
    pipeline.denoiser.session = session
    inside = guided_timesteps(ddim_edge.DdimConfig(), (0.5, 3.0))
    assert inside is not None
    pipeline.generate(labels=["dog"], num_steps=10, guidance_scale=2.0, guidance_interval=(0.5, 3.0))
    timesteps = [900, 800, 700, 600, 500, 400, 300, 200, 100, 0]
    assert session.calls == [2 if timestep in inside else 1 for timestep in timesteps]
    assert 0 < session.calls.count(2) < 10


def test_where_it_does_not_guide_it_changes_nothing(tiny_bundle: Path) -> None:
    pipeline = ddim_edge.load(tiny_bundle, "cpu")
    plain = pipeline.generate(labels=["dog"], num_steps=5).images
    top: Any = {"labels": ["dog"], "num_steps": 5, "guidance_scale": 3.0}
    np.testing.assert_array_equal(pipeline.generate(**top, guidance_interval=(100, 1000)).images, plain)
    everywhere = pipeline.generate(**top, guidance_interval=(0, 1000)).images
    np.testing.assert_array_equal(everywhere, pipeline.generate(**top).images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guidance_interval": (3.0, 1.0)}, "must go from a lower to a higher level, not from 3 to 1"),
        ({"guidance_interval": (1.0,)}, "must be two noise levels"),
        ({"guidance_interval": (-1.0, 2.0)}, "lower level must be a number of at least 0"),
        ({"guidance_rescale": 1.5}, "guidance_rescale must be a number from 0 to 1, not 1.5"),
        ({"guidance_rescale": float("nan")}, "guidance_rescale must be a number from 0 to 1"),
    ],
)
def test_nonsense_is_refused(tiny_bundle: Path, options: Any, message: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=message):
        ddim_edge.load(tiny_bundle, "cpu").request(guidance_scale=2.0, **options)
