"""``encode`` and ``interpolate`` with a text-to-image model: its autoencoder, its prompts, ways between prompts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ddim_edge
from ddim_edge import encode, from_latents, interpolate, read_latents
from ddim_edge.bundle.defaults import Defaults
from ddim_edge.generation.inversion import shape_of_latents
from ddim_edge.generation.requests.options import request_of

EMOJI = Path(__file__).parents[2] / "models" / "emoji"
RED, GREEN = "red apple", "green apple"


@pytest.fixture(scope="module")
def emoji() -> ddim_edge.Pipeline:
    return ddim_edge.load(EMOJI, "cpu")


@pytest.fixture(scope="module")
def apple(emoji: ddim_edge.Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of an apple that the model made."""
    path = tmp_path_factory.mktemp("apple") / "apple.png"
    emoji.generate(prompt=RED, seed=3, num_steps=10).save(path)
    return path


def made(pipeline: ddim_edge.Pipeline, request: ddim_edge.Request) -> Any:
    """The images, as whole numbers of more than 8 bits."""
    images = [step.images for step in pipeline.run(request) if step.images is not None]
    return np.concatenate(images).astype(int)


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def test_a_picture_comes_back_nearly_as_by_the_autoencoder_alone(emoji: ddim_edge.Pipeline, apple: Path) -> None:
    original = pixels(apple)
    assert emoji.components.vae is not None
    sample = ddim_edge.read_picture(apple, emoji.bundle.image_shape())
    alone = np.abs(emoji.components.to_images(emoji.components.vae.encode(sample, None)).astype(int) - original).mean()
    errors = []
    for num_steps in (5, 40):
        latents = encode(emoji, [apple], prompt=RED, num_steps=num_steps)
        assert latents.samples.shape == (1, 24, 4, 4)
        request = from_latents(emoji, latents)
        assert (request.prompts, request.guidance_scale, request.num_steps) == ((RED,), 1.0, num_steps)
        errors.append(np.abs(made(emoji, request) - original).mean())
    assert errors[0] > 2 * errors[1]
    assert errors[1] < alone + 3  # of 255


def test_the_autoencoder_gives_its_mean(emoji: ddim_edge.Pipeline, apple: Path) -> None:
    vae = emoji.components.vae
    assert vae is not None
    sample = ddim_edge.read_picture(apple, emoji.bundle.image_shape())
    mean, ones = vae.encode(sample, None), vae.encode(sample, lambda shape: np.ones(shape, np.float32))
    np.testing.assert_array_equal(mean, vae.encode(sample, lambda shape: np.zeros(shape, np.float32)))
    assert (ones > mean).all()  # by one standard deviation


def test_the_prompt_of_the_encoding_is_a_condition(emoji: ddim_edge.Pipeline, apple: Path) -> None:
    told, untold = (encode(emoji, [apple], prompt=prompt, num_steps=5) for prompt in (RED, None))
    assert (told.samples != untold.samples).any()
    assert untold.recipe["prompts"] == [""]
    edited = from_latents(emoji, told, prompt=GREEN, guidance_scale=3.0)
    assert (edited.prompts, edited.guidance_scale) == ((GREEN,), 3.0)


def test_a_picture_of_another_size(emoji: ddim_edge.Pipeline, apple: Path, tmp_path: Path) -> None:
    latents = encode(emoji, [apple], prompt=RED, height=40, num_steps=3)
    (tmp_path / "l.npz").write_bytes(latents.to_bytes())
    again = read_latents(tmp_path / "l.npz", lambda recipe: shape_of_latents(emoji.bundle, recipe))
    assert again.samples.shape == (1, 24, 5, 4)
    assert made(emoji, from_latents(emoji, again)).shape == (1, 40, 32, 3)
    way = interpolate(emoji, tmp_path / "l.npz", 1, 2, prompt=RED, height=40, num_steps=3)
    assert made(emoji, way).shape == (2, 40, 32, 3)
    with pytest.raises(ddim_edge.ConfigError, match="latents has the shape"):
        interpolate(emoji, tmp_path / "l.npz", 1, 2, prompt=RED, height=48, num_steps=3)


def test_between_two_prompts_both_ends_are_those_of_the_prompts(emoji: ddim_edge.Pipeline) -> None:
    way = interpolate(emoji, 5, 5, 4, prompt=[RED, GREEN], num_steps=6)
    assert way.guidance_scale == 3  # the author's
    frames = made(emoji, way)
    for index, prompt in ((0, RED), (-1, GREEN)):
        plain = emoji.generate(prompt=prompt, seed=5, num_steps=6, sampler=way.sampler).images
        np.testing.assert_array_equal(frames[index], plain[0])
    redness = [float((frame[..., 0] - frame[..., 1]).mean()) for frame in frames]
    assert redness == sorted(redness, reverse=True)
    assert redness[0] > redness[-1] + 20


def test_a_recipe_says_that_it_is_between_prompts(emoji: ddim_edge.Pipeline) -> None:
    way = interpolate(emoji, 5, 6, 3, prompt=[RED, GREEN], num_steps=2)
    recipe = emoji.recipe(way)
    assert (recipe["between_prompts"], recipe["prompts"]) == (True, [RED, GREEN])
    assert ddim_edge.Request.from_json(recipe, way.origin) == way
    assert "between_prompts" not in emoji.recipe(interpolate(emoji, 5, 6, 3, prompt=RED, num_steps=2))


def test_one_prompt_holds_for_all_images_and_pictures_come_back_unguided(
    emoji: ddim_edge.Pipeline, apple: Path
) -> None:
    way = interpolate(emoji, apple, 4, 2, prompt=RED, num_steps=5)
    assert (way.prompts, way.between_prompts, way.guidance_scale) == ((RED,), False, 1.0)
    latents = encode(emoji, [apple], prompt=RED, num_steps=5)
    np.testing.assert_array_equal(made(emoji, way)[0], made(emoji, from_latents(emoji, latents))[0])


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (None, "is a text-to-image model: give a prompt"),
        ([RED, GREEN, "apple"], "takes one prompt, or two to go between, not 3"),
        ([], "takes one prompt, or two to go between, not 0"),
    ],
)
def test_prompts_that_make_no_way(emoji: ddim_edge.Pipeline, prompts: Sequence[str] | None, message: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=message):
        interpolate(emoji, 1, 2, 3, prompt=prompts)


def test_no_model_of_classes_takes_a_prompt(tiny_bundle: Path) -> None:
    pipeline = ddim_edge.load(tiny_bundle, "cpu")
    with pytest.raises(ddim_edge.ConfigError, match="does not take text: leave the prompt out"):
        interpolate(pipeline, 1, 2, 3, prompt=[RED, GREEN])
    with pytest.raises(ddim_edge.ConfigError, match="does not take text: leave the prompt out"):
        encode(pipeline, np.zeros((1, 1, 8, 8), np.float32), prompt=RED)


def test_the_authors_negative_prompt_needs_guidance(emoji: ddim_edge.Pipeline) -> None:
    bundle = replace(emoji.bundle, defaults=Defaults(negative_prompt="blurry", guidance_scale=3))
    assert request_of(bundle, {"prompt": RED}).negative_prompt == "blurry"
    assert request_of(bundle, {"prompt": RED, "guidance_scale": 1.0}).negative_prompt is None


def test_a_batch_has_its_text_encoded_first(emoji: ddim_edge.Pipeline) -> None:
    request, phases = emoji.request(prompt=RED, num_images=2, batch_size=1, num_steps=1), list[object]()
    assert len([*emoji.run(request, on_phase=lambda phase, indices: phases.append((phase, indices.start)))]) == 2
    assert phases == [(phase, start) for start in (0, 1) for phase in ("text", "steps", "decode")]
