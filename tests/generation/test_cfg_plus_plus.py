"""CFG++ from options to pictures: what it makes, what its recipe says, and what it does not go with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import ddim_edge
from ddim_edge import Origin
from ddim_edge.bundle.read import open_bundle
from ddim_edge.diffusion.noise import noise_stream
from ddim_edge.diffusion.samplers.cfg_plus_plus import cfg_plus_plus, noise_weights
from ddim_edge.diffusion.samplers.query import Guided
from ddim_edge.generation.requests.option_table import Options
from ddim_edge.generation.requests.options import request_of
from tests.helpers.counting import CountingSession
from tests.helpers.tiny_bundles import NULL_CLASS, Array, tiny_model, tiny_prediction

DDIM: dict[str, Any] = {"sampler": "ddim", "num_steps": 6, "seed": 3, "labels": ["cat"]}
PLUS_PLUS: dict[str, Any] = {**DDIM, "guidance_mode": "cfg++"}


@pytest.fixture(scope="module")
def pipeline(tiny_bundle: Path) -> ddim_edge.Pipeline:
    return ddim_edge.load(tiny_bundle, "cpu")


def sample_of(pipeline: ddim_edge.Pipeline, **options: Any) -> Array:
    (end,) = [progress for progress in pipeline.run(pipeline.request(**options)) if progress.images is not None]
    return end.jobs[0].result()


def by_hand(pipeline: ddim_edge.Pipeline, scale: float) -> Array:
    config = pipeline.bundle.sampler("ddim")
    begin = noise_stream(3, "torch")((1, 1, 8, 8))
    weights = noise_weights(config, ddim_edge.DdimSchedule(cast(ddim_edge.DdimConfig, config), 6))
    sampler = cfg_plus_plus(ddim_edge.start(config, 6, begin), weights)
    query = next(sampler)
    while True:
        own, null = (tiny_prediction(query.sample, query.timestep, label) for label in (0, NULL_CLASS))
        try:
            query = sampler.send(Guided(null + np.float32(scale) * (own - null), null))
        except StopIteration as end:
            result: Array = end.value
            return result


@pytest.mark.parametrize("scale", [0.0, 0.6, 1.0])
def test_a_picture_is_that_of_the_sampler_by_hand(pipeline: ddim_edge.Pipeline, scale: float) -> None:
    found = sample_of(pipeline, **PLUS_PLUS, guidance_scale=scale)
    np.testing.assert_allclose(found, by_hand(pipeline, scale), rtol=1e-5, atol=1e-5)


def test_every_step_makes_both_predictions_also_at_a_scale_of_1(pipeline: ddim_edge.Pipeline) -> None:
    session = CountingSession(pipeline.bundle.folder / "unet" / "model.onnx")
    counting = ddim_edge.load(pipeline.bundle.folder, "cpu")
    counting.denoiser.session = session
    counting.generate(**PLUS_PLUS, guidance_scale=1.0)
    assert session.calls == [2] * 6
    session.calls.clear()
    counting.generate(**PLUS_PLUS, guidance_interval=(0.0, 1.0))
    assert sorted(set(session.calls)) == [1, 2]


def test_the_recipe_says_it_and_makes_the_picture_again(pipeline: ddim_edge.Pipeline) -> None:
    made, plain = pipeline.generate(**PLUS_PLUS), pipeline.generate(**DDIM, guidance_scale=0.6)
    assert (made.recipe["guidance_mode"], made.recipe["guidance_scale"]) == ("cfg++", 0.6)
    assert made.recipe.keys() - plain.recipe.keys() == {"guidance_mode"}
    assert (made.images != plain.images).any()
    request = ddim_edge.Request.from_json(made.recipe)
    (again,) = [end.images for end in pipeline.run(request) if end.images is not None]
    np.testing.assert_array_equal(again, made.images)
    default = pipeline.generate(**DDIM, guidance_scale=2.0)
    cfg = pipeline.generate(**DDIM, guidance_scale=2.0, guidance_mode="cfg")
    assert default.recipe == cfg.recipe
    np.testing.assert_array_equal(default.images, cfg.images)


def test_what_a_mask_keeps_stays(pipeline: ddim_edge.Pipeline) -> None:
    picture = np.linspace(-0.9, 0.9, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    mask = np.zeros((1, 1, 8, 8), bool)
    mask[..., 4:] = True
    options = {**PLUS_PLUS, "origin": Origin(image=picture, mask=mask)}
    made = sample_of(pipeline, **options)
    np.testing.assert_array_equal(made[..., :4], picture[..., :4])
    assert (made[..., 4:] != sample_of(pipeline, **{**options, "guidance_mode": "cfg"})[..., 4:]).any()


def test_a_change_of_a_picture_has_the_weights_of_its_steps(pipeline: ddim_edge.Pipeline) -> None:
    """At this strength the only step is the run's last, which adds no noise: there CFG++ is guidance of its scale."""
    options = {
        **DDIM,
        "origin": Origin(image=np.zeros((1, 1, 8, 8), np.float32)),
        "strength": 0.2,
        "guidance_scale": 0.5,
    }
    plain, plus = (sample_of(pipeline, **options, guidance_mode=mode) for mode in ("cfg", "cfg++"))
    np.testing.assert_array_equal(plain, plus)


def test_latents_are_decoded_with_it(pipeline: ddim_edge.Pipeline) -> None:
    """Encoding is without guidance; at a scale of 0 decoding is that of the null class, which was encoded."""
    picture = np.linspace(-0.5, 0.5, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    latents = ddim_edge.encode(pipeline, picture, num_steps=20)
    results = [
        pipeline.run(ddim_edge.from_latents(pipeline, latents, labels=["cat"], **options))
        for options in ({"guidance_mode": "cfg++", "guidance_scale": 0.0}, {"guidance_scale": 0.0})
    ]
    (plus_plus,), (plain,) = ([end.images for end in result if end.images is not None] for result in results)
    assert abs(plus_plus.astype(int) - plain.astype(int)).max() <= 1


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("a scale above 1", {"guidance_scale": 1.5}, r"guidance_mode cfg\+\+ takes a guidance_scale from 0 to 1, not 1.5"),
    ("another sampler", {"sampler": "dpmpp-2m"}, r"guidance_mode cfg\+\+ works with ddim, .* is dpmpp-2m"),
    ("a cache", {"cache": "forecast"}, r"guidance_mode cfg\+\+ does not work with cache forecast:3"),
    ("another mode", {"guidance_mode": "apg"}, "guidance_mode"),
]


@pytest.mark.parametrize(("options", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_it_does_not_go_with_is_named_before_a_network_is_opened(
    tiny_bundle: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=message):
        request_of(open_bundle(tiny_bundle), cast(Options, {**PLUS_PLUS, **options}))


def test_it_needs_an_unconditional_prediction(new_bundle: Callable[..., Path]) -> None:
    folder = new_bundle(tiny_model(classes=False), labels=None)
    for scale in (0.6, 1.0):
        with pytest.raises(ddim_edge.ConfigError, match=r"^guidance_mode cfg\+\+ needs a null class"):
            request_of(open_bundle(folder), {"guidance_mode": "cfg++", "sampler": "ddim", "guidance_scale": scale})
