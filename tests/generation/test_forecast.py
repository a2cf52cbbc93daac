"""Images with a forecast: fewer network calls, every option, the same image however it was made."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge import ConfigError, Origin
from ddim_edge.diffusion.samplers.table import samplers_for
from ddim_edge.generation.engine import Engine
from ddim_edge.generation.jobs import job_of
from ddim_edge.generation.requests.request import Request
from ddim_edge.generation.requests.step_cache import least_whole_calls, network_calls, sampler_calls
from ddim_edge.generation.warmup import warm_up, warm_up_calls
from tests.helpers.counting import CountingSession

PICTURE = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
MASK = np.arange(64).reshape(1, 1, 8, 8) % 8 > 3
WAYS: dict[str, dict[str, Any]] = {
    **{name: {"sampler": name} for name in samplers_for("betas")},
    "eta": {"sampler": "ddim", "eta": 0.7},
    "rescaled": {"guidance_scale": 3.0, "guidance_rescale": 0.7},
    "interval": {"guidance_scale": 3.0, "guidance_interval": (0.5, 3.0)},
    "strength": {"origin": Origin(image=PICTURE), "strength": 0.6},
    "mask": {"origin": Origin(image=PICTURE, mask=MASK)},
    "no clipping": {"sampler": ddim_edge.DdimConfig(clip_denoised_sample=False)},
    "thresholding": {"sampler": ddim_edge.DdimConfig(dynamic_threshold_ratio=0.9)},
}


@pytest.fixture
def session(tiny_bundle: Path) -> CountingSession:
    return CountingSession(tiny_bundle / "unet" / "model.onnx")


@pytest.fixture
def pipeline(tiny_bundle: Path, session: CountingSession) -> ddim_edge.Pipeline:
    pipeline = ddim_edge.load(tiny_bundle, "cpu")
    pipeline.denoiser.session = session
    return pipeline


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_sampling_takes_a_forecast(
    pipeline: ddim_edge.Pipeline, session: CountingSession, way: str
) -> None:
    request = pipeline.request(num_steps=20, num_images=2, labels=["cat"], cache="forecast:3", **WAYS[way])
    images = list(pipeline.run(request))[-1].images
    assert len(session.calls) == network_calls(request) == least_whole_calls(request)
    # The second call of these is at the level of the next step, where a forecast begins anew.
    assert (network_calls(request) < 0.8 * sampler_calls(request)) == (way not in ("heun", "dpm2-a"))
    assert images is not None
    assert images.shape == (2, 8, 8, 1)


@pytest.mark.parametrize("way", WAYS)
def test_an_n_of_1_is_no_cache_to_the_last_bit(
    pipeline: ddim_edge.Pipeline, session: CountingSession, way: str
) -> None:
    options: Any = {"num_steps": 8, "labels": ["cat"], **WAYS[way]}
    without = pipeline.generate(**options).images
    calls = len(session.calls)
    np.testing.assert_array_equal(pipeline.generate(cache="forecast:1", **options).images, without)
    assert len(session.calls) == 2 * calls


def test_guidance_that_turns_on_is_not_extrapolated(pipeline: ddim_edge.Pipeline, session: CountingSession) -> None:
    options: Any = {"num_steps": 30, "labels": ["cat"], "guidance_scale": 3.0, "guidance_interval": (0.5, 3.0)}
    list(pipeline.run(pipeline.request(**options)))
    rows = session.calls.copy()
    edges = {call for call in range(1, 30) if rows[call] != rows[call - 1]}
    assert len(edges) == 2
    timesteps = [session.timesteps[call][0] for edge in edges for call in (edge, edge + 1)]
    session.timesteps.clear()
    list(pipeline.run(pipeline.request(cache="forecast:5", **options)))
    assert set(timesteps) <= {each[0] for each in session.timesteps}


def test_a_threshold_decides_for_each_image(pipeline: ddim_edge.Pipeline, session: CountingSession) -> None:
    options: Any = {"num_steps": 30, "labels": ["cat"], "num_images": 3}
    bound = pipeline.request(cache="forecast:5", **options)
    counts = []
    for threshold in (0.0, 0.05, 1000.0):
        session.calls.clear()
        request = pipeline.request(cache="forecast:5", cache_threshold=threshold, **options)
        progress = list(pipeline.run(request))
        counts.append(len(session.calls))
        assert progress[-1].calls == len(session.calls)
        assert all(len(each.estimates()) == 3 for each in progress)  # also of images that have ended before others
    assert counts[0] == 30 == network_calls(request)
    assert counts[0] > counts[1] > counts[2] == network_calls(bound) == least_whole_calls(request)


def test_alone_in_batches_and_among_others_it_is_the_same_image(pipeline: ddim_edge.Pipeline) -> None:
    options: Any = {"num_steps": 12, "labels": ["cat", "dog"], "cache": "forecast:3", "guidance_scale": 2.0}
    whole = pipeline.generate(num_images=5, batch_size=5, **options).images
    np.testing.assert_array_equal(pipeline.generate(num_images=5, batch_size=2, **options).images, whole)
    requests = [pipeline.request(num_images=5, **options), pipeline.request(num_images=3, num_steps=7, labels=["dog"])]
    many = {made.index: made.image for position, made in pipeline.generate_many(requests) if position == 0}
    np.testing.assert_array_equal(np.stack([many[index] for index in range(5)]), whole)


def test_others_go_on_when_a_cached_job_is_cancelled(pipeline: ddim_edge.Pipeline) -> None:
    request = pipeline.request(num_images=3, num_steps=12, labels=["cat"], cache="forecast:3")
    jobs = [job_of(pipeline.bundle, request, index) for index in range(3)]
    engine = Engine(pipeline.denoiser)
    for job in jobs:
        engine.add(job)
    engine.step()
    engine.remove(jobs[1])
    while engine.jobs:
        engine.step()
    alone = pipeline.generate(num_images=1, num_steps=12, labels=["cat"], cache="forecast:3", seed=2)
    np.testing.assert_array_equal(pipeline.components.to_images(jobs[2].result()), alone.images)


def test_the_recipe_has_it_only_if_set_and_makes_the_image_again(pipeline: ddim_edge.Pipeline) -> None:
    plain = pipeline.request(labels=["cat"], num_steps=12)
    assert not {"cache", "cache_threshold"} & pipeline.recipe(plain).keys()
    assert pipeline.request(labels=["cat"], num_steps=12, cache="off") == plain
    request = pipeline.request(labels=["cat"], num_steps=12, cache="forecast", cache_threshold=0.2)
    recipe = pipeline.recipe(request)
    assert (recipe["cache"], recipe["cache_threshold"]) == ("forecast:3", 0.2)
    assert Request.from_json(recipe) == request


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache": "forecast:0"}, "N must be from 1 to 1000, not 0"),
        ({"cache": "forecast:9"}, "cache forecast:9 makes one call in 9 whole, and this run makes 8"),
        ({"cache": "forecast:2", "num_steps": 1}, "at least 2 network calls, and this run makes 1"),
        ({"cache": "forcast"}, "cache must be off, forecast, forecast:N, deep"),
        ({"cache": 3}, "cache must be off, forecast, forecast:N, deep"),
        ({"cache": "deep:2"}, "needs a shallow graph, and .* has none: export the model with --step-cache"),
        ({"cache_threshold": 0.1}, "cache_threshold needs a cache"),
        ({"cache": "forecast", "cache_threshold": -1.0}, "cache_threshold must be a number from 0"),
    ],
)
def test_bad_options(pipeline: ddim_edge.Pipeline, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pipeline.request(**{"labels": ["cat"], "num_steps": 8, **options})


def test_a_warm_up_makes_the_calls_that_it_says(pipeline: ddim_edge.Pipeline, session: CountingSession) -> None:
    request = pipeline.request(labels=["cat"], num_steps=50, cache="forecast:20")
    warm_up(pipeline, request)
    assert len(session.calls) == warm_up_calls(request) == 12
