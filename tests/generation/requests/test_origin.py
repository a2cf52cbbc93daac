"""Images made from other images: strength, masks, and what a recipe can say of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ddim_edge
from ddim_edge import Origin
from ddim_edge.diffusion.noise import noise_stream
from ddim_edge.diffusion.samplers import samplers_for, schedule_of
from ddim_edge.generation.jobs import job_of
from ddim_edge.generation.requests.request import Request
from ddim_edge.images.encode import to_pixels
from tests.helpers.tiny_bundles import Array

SHAPE = (1, 1, 8, 8)
PICTURE = ((np.arange(64, dtype=np.float32) * 4 % 256) / 127.5 - 1).reshape(SHAPE)
TWICE = dict.fromkeys(("heun", "dpm2", "dpm2-a"), 23)
"""The calls of 12 steps of two calls, but for the last."""
HALF = np.zeros(SHAPE, bool)
HALF[..., 3:] = True


@pytest.fixture(scope="module")
def pipeline(tiny_bundle: Path) -> ddim_edge.Pipeline:
    return ddim_edge.load(tiny_bundle, "cpu")


@pytest.mark.parametrize("name", samplers_for("betas"))
@pytest.mark.parametrize("strength", [0.5, 0.8, 1.0])
def test_a_run_begins_at_the_images_own_noise_level(pipeline: ddim_edge.Pipeline, name: str, strength: float) -> None:
    request = pipeline.request(num_steps=20, sampler=name, seed=3, origin=Origin(image=PICTURE), strength=strength)
    schedule = schedule_of(request.sampler, 20, strength)
    query = next(job_of(pipeline.bundle, request, 0).sampler)
    level = schedule.levels[0]
    expected = level.signal * PICTURE + level.noise * noise_stream(3)(SHAPE)
    np.testing.assert_allclose(query.sample, expected, atol=1e-6)
    assert query.timestep == schedule.timesteps[0]


@pytest.mark.parametrize(
    ("name", "calls"),
    [(name, {"pndm": 21, "lcm": 20, "tcd": 20, **TWICE}.get(name, 12)) for name in samplers_for("betas")],
)
def test_strength_is_the_share_of_the_steps_that_are_made(pipeline: ddim_edge.Pipeline, name: str, calls: int) -> None:
    """But for LCM and TCD, which take as many steps from the part of their list that is left."""
    request = pipeline.request(num_steps=20, sampler=name, origin=Origin(image=PICTURE), strength=0.6)
    assert len(list(pipeline.run(request))) == calls


@pytest.mark.parametrize("name", samplers_for("betas"))
def test_what_is_not_masked_comes_back_and_the_rest_is_new(pipeline: ddim_edge.Pipeline, name: str) -> None:
    images = pipeline.generate(
        num_images=3, num_steps=8, sampler=name, origin=Origin(image=PICTURE, mask=HALF), batch_size=2
    ).images
    before = to_pixels(PICTURE)[0]
    for image in images:
        np.testing.assert_array_equal(image[:, :3], before[:, :3])
        assert (image[:, 3:] != before[:, 3:]).mean() > 0.5


@pytest.mark.parametrize("name", samplers_for("betas"))
def test_the_rest_stands_at_its_noise_level_in_every_question(pipeline: ddim_edge.Pipeline, name: str) -> None:
    request = pipeline.request(num_steps=6, sampler=name, seed=5, origin=Origin(image=PICTURE, mask=HALF))
    sampler = job_of(pipeline.bundle, request, 0).sampler
    noise = noise_stream(5)(SHAPE)
    query = next(sampler)
    for level in schedule_of(request.sampler, 6).levels.alpha_bars.tolist():
        known = np.sqrt(level) * PICTURE + np.sqrt(1 - level) * noise
        np.testing.assert_allclose(query.sample[~HALF], known[~HALF], atol=1e-6)
        try:
            query = sampler.send(query.sample * np.float32(0.3))
        except StopIteration as end:
            np.testing.assert_array_equal(end.value[~HALF], PICTURE[~HALF])


def test_a_white_mask_is_none_and_a_black_one_gives_the_image_back(pipeline: ddim_edge.Pipeline) -> None:
    whole = Origin(image=PICTURE, mask=np.ones(SHAPE, bool))
    none = Origin(image=PICTURE, mask=np.zeros(SHAPE, bool))
    options: dict[str, Any] = {"num_steps": 5, "strength": 1.0, "seed": 2}
    unmasked = pipeline.generate(origin=Origin(image=PICTURE), **options).images
    np.testing.assert_array_equal(pipeline.generate(origin=whole, **options).images, unmasked)
    np.testing.assert_array_equal(pipeline.generate(origin=none, **options).images, to_pixels(PICTURE))


def test_image_k_takes_row_k_of_its_origin(pipeline: ddim_edge.Pipeline) -> None:
    rows = np.concatenate((PICTURE, -PICTURE))
    both = pipeline.generate(num_images=3, num_steps=5, labels=["dog"], origin=Origin(image=rows)).images
    for index, row in enumerate((PICTURE, -PICTURE, PICTURE)):
        alone = pipeline.generate(num_steps=5, labels=["dog"], seed=index, origin=Origin(image=row)).images
        np.testing.assert_array_equal(both[index], alone[0])


def test_latents_stand_in_for_the_noise_of_a_seed(pipeline: ddim_edge.Pipeline) -> None:
    latents = np.concatenate([noise_stream(seed)(SHAPE) for seed in (7, 8)])
    images = pipeline.generate(num_steps=4, labels=["dog", "dog"], seed=99, origin=Origin(latents=latents)).images
    np.testing.assert_array_equal(images, pipeline.generate(num_steps=4, labels=["dog", "dog"], seed=7).images)


@given(st.integers(0, 63))
def test_origins_are_equal_by_their_contents(position: int) -> None:
    other = PICTURE.copy()
    assert Origin(image=other) == Origin(image=PICTURE)
    assert hash(Origin(image=other)) == hash(Origin(image=PICTURE))
    other.flat[position] += 1
    assert Origin(image=other) != Origin(image=PICTURE)
    assert Origin(latents=PICTURE) != Origin(image=PICTURE)


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        (lambda: Origin(mask=HALF), "a mask needs an initial image to change"),
        (lambda: Origin(image=PICTURE, latents=PICTURE), "cannot be combined"),
        (lambda: Origin(image=PICTURE[:, :, :4]), r"image has the shape \(1, 1, 4, 8\)"),
        (lambda: Origin(latents=PICTURE[0]), "latents has the shape"),
        (lambda: Origin(latents=PICTURE[:0]), "latents is empty"),
        (lambda: Origin(image=PICTURE * np.float32(np.nan)), "contains NaN"),
        (lambda: Origin(image=PICTURE, mask=HALF[..., :4]), "the mask has the shape"),
    ],
)
def test_origins_that_mean_nothing(pipeline: ddim_edge.Pipeline, origin: Any, message: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=message):
        pipeline.request(origin=origin(), num_steps=5)


def test_strength_without_an_image_is_refused(pipeline: ddim_edge.Pipeline) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=r"strength 0\.5 needs an initial image to change"):
        pipeline.request(strength=0.5)


def test_a_recipe_asks_for_the_same_origin_again(pipeline: ddim_edge.Pipeline) -> None:
    origin = Origin(image=PICTURE, mask=HALF)
    request = pipeline.request(origin=origin, guidance_scale=2.0, guidance_interval=(0.1, 5.0), guidance_rescale=0.5)
    values = request.to_json()
    assert Request.from_json(values, origin) == request
    with pytest.raises(ddim_edge.ConfigError, match="made from image, of which a recipe holds only the hash"):
        Request.from_json(values)
    with pytest.raises(ddim_edge.ConfigError, match="made from another mask"):
        Request.from_json(values, Origin(image=PICTURE, mask=~HALF))
    for origin_value in (5, {"image": 5}, ["image"]):
        with pytest.raises(ddim_edge.ConfigError, match=r"the recipe: origin.* must be (an object|a string), not"):
            Request.from_json(values | {"origin": origin_value}, origin)
    with pytest.raises(ddim_edge.ConfigError, match="were not made from any image"):
        Request.from_json(pipeline.request().to_json(), Origin(image=PICTURE))


def test_a_sample_array_is_not_written_to(pipeline: ddim_edge.Pipeline) -> None:
    picture: Array = PICTURE.copy()
    picture.flags.writeable = False
    pipeline.generate(origin=Origin(image=picture, mask=HALF), num_steps=3)
    pipeline.generate(origin=Origin(latents=picture), num_steps=3)
