"""From images to the noise that brings them back, and the ways between two noises."""

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ddim_edge
from ddim_edge import encode, from_latents, interpolate, read_latents
from ddim_edge.diffusion.noise import noise_stream
from ddim_edge.diffusion.slerp import slerp
from tests.helpers.tiny_bundles import Array, write_bundle

SHAPE = (1, 1, 8, 8)


@pytest.fixture(scope="module")
def pipeline(tiny_bundle: Path) -> ddim_edge.Pipeline:
    return ddim_edge.load(tiny_bundle, "cpu")


@pytest.fixture(scope="module")
def clothes() -> tuple[ddim_edge.Pipeline, Array]:
    """The bundled model, and two images that it made itself."""
    bundled = ddim_edge.load("fashion-mnist", "cpu")
    made = bundled.generate(labels=["bag", "sneaker"], num_steps=10).images
    return bundled, (made[..., 0].astype(np.float32) / 127.5 - 1)[:, None]


def images_of(pipeline: ddim_edge.Pipeline, request: ddim_edge.Request) -> Array:
    """The results before they are rounded to pixels."""
    return np.concatenate(
        [job.result() for step in pipeline.run(request) if step.images is not None for job in step.jobs]
    )


def reconstruction_error(pipeline: ddim_edge.Pipeline, images: Array, num_steps: int) -> float:
    latents = encode(pipeline, images, num_steps=num_steps)
    return float(np.mean((images_of(pipeline, from_latents(pipeline, latents)) - images) ** 2))


def test_more_steps_bring_an_image_back_more_exactly(clothes: tuple[ddim_edge.Pipeline, Array]) -> None:
    errors = [reconstruction_error(*clothes, num_steps) for num_steps in (5, 20, 80)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.03


def test_latents_of_images_are_nearly_normal(clothes: tuple[ddim_edge.Pipeline, Array]) -> None:
    samples = encode(*clothes, num_steps=50).samples
    assert abs(samples.mean()) < 0.2
    assert 0.6 < samples.std() < 1.1


def test_another_label_makes_another_image_of_the_same_noise(clothes: tuple[ddim_edge.Pipeline, Array]) -> None:
    pipeline, images = clothes
    latents = encode(pipeline, images, num_steps=10)
    assert from_latents(pipeline, latents).labels == (pipeline.bundle.null_class,)
    edited = from_latents(pipeline, latents, labels=["sandal"], guidance_scale=2.0)
    assert edited.labels == (pipeline.bundle.class_index("sandal"),)
    assert (images_of(pipeline, edited) != images_of(pipeline, from_latents(pipeline, latents))).any()


def test_latents_survive_a_file(pipeline: ddim_edge.Pipeline, tmp_path: Path) -> None:
    latents = encode(pipeline, noise_stream(0)((3, 1, 8, 8)), labels=["dog"], num_steps=4)
    (tmp_path / "l.npz").write_bytes(latents.to_bytes())
    again = read_latents(tmp_path / "l.npz")
    np.testing.assert_array_equal(again.samples, latents.samples)
    assert (again.recipe, again.alpha_bar) == (latents.recipe, latents.alpha_bar)
    request = from_latents(pipeline, again)
    assert (request.num_images, request.num_steps, request.labels, request.sampler.name) == (3, 4, (1,), "ddim")


def test_batches_change_nothing(pipeline: ddim_edge.Pipeline) -> None:
    images, calls = noise_stream(0)((5, 1, 8, 8)), list[None]()
    whole = encode(pipeline, images, num_steps=3).samples
    np.testing.assert_array_equal(
        encode(pipeline, images, num_steps=3, batch_size=2, on_call=lambda: calls.append(None)).samples, whole
    )
    assert len(calls) == 9


def test_latents_that_do_not_belong(pipeline: ddim_edge.Pipeline, tmp_path: Path, plain_bundle: Path) -> None:
    latents = encode(pipeline, noise_stream(0)(SHAPE), num_steps=10)
    with pytest.raises(ddim_edge.ConfigError, match=r"have the noise level .* and 5 steps of ddim start at"):
        from_latents(pipeline, latents, num_steps=5)
    with pytest.raises(ddim_edge.ConfigError, match="made with another model"):
        from_latents(ddim_edge.load(plain_bundle, "cpu"), latents)
    cut = latents.to_bytes()[:300]
    for name, contents in {
        "cut": cut,
        "empty": b"",
        "text": b"no latents",
        "array": _saved(np.zeros(3)),
        "npz": _saved(a=np.zeros(3)),
    }.items():
        (tmp_path / name).write_bytes(contents)
        with pytest.raises(ddim_edge.ConfigError, match="is not a latents file: make one with `ddim-edge encode`"):
            read_latents(tmp_path / name)
    with pytest.raises(ddim_edge.ConfigError, match="is not there"):
        read_latents(tmp_path / "nothing.npz")


def _saved(*arrays: Any, **named: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **named) if named else np.save(buffer, *arrays)
    return buffer.getvalue()


def test_classes_without_a_null_class_must_be_named(tmp_path: Path) -> None:
    pipeline = ddim_edge.load(write_bundle(tmp_path / "bundle", null_class=None), "cpu")
    with pytest.raises(ddim_edge.ConfigError, match="give the class with labels"):
        encode(pipeline, noise_stream(0)(SHAPE))
    assert encode(pipeline, noise_stream(0)(SHAPE), labels=["dog"], num_steps=2).recipe["label_names"] == ["dog"]
    with pytest.raises(ddim_edge.ConfigError, match="there is no picture to encode"):
        encode(pipeline, [], labels=["dog"])


@given(seeds=st.tuples(st.integers(0, 50), st.integers(51, 99)), frames=st.integers(2, 9))
def test_the_way_runs_along_the_sphere(seeds: tuple[int, int], frames: int) -> None:
    first, last = (noise_stream(seed)(SHAPE) for seed in seeds)
    last *= np.float32(np.linalg.norm(first) / np.linalg.norm(last))
    way = slerp(first, last, frames)
    np.testing.assert_allclose(way[[0, -1]], np.concatenate((first, last)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(way.reshape(frames, -1), axis=1), np.linalg.norm(first), rtol=1e-5)
    steps = [np.vdot(a, b) for a, b in itertools.pairwise(way)]
    np.testing.assert_allclose(steps, steps[0], rtol=1e-4)  # equal angles


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0])
def test_parallel_and_opposite_ends_give_numbers(factor: float) -> None:
    first = noise_stream(0)(SHAPE)
    way = slerp(first, first * np.float32(factor), 5)
    assert np.isfinite(way).all()
    np.testing.assert_allclose(way[-1:], first * np.float32(factor), atol=1e-6)


def test_an_interpolation_ends_at_its_ends(pipeline: ddim_edge.Pipeline, tmp_path: Path) -> None:
    frames = images_of(pipeline, interpolate(pipeline, 3, 8, 5, labels=["dog"], num_steps=6))
    assert frames.shape == (5, 1, 8, 8)
    for index, seed in ((0, 3), (-1, 8)):
        sampler = interpolate(pipeline, 3, 8, 2, labels=["dog"], num_steps=6).sampler
        alone = images_of(
            pipeline, pipeline.request(labels=["dog"], num_steps=6, seed=seed, sampler=sampler, num_images=1)
        )
        np.testing.assert_allclose(frames[index], alone[0], atol=1e-5)
    latents = encode(pipeline, noise_stream(1)(SHAPE), labels=["dog"], num_steps=6)
    (tmp_path / "l.npz").write_bytes(latents.to_bytes())
    mixed = interpolate(pipeline, tmp_path / "l.npz", 8, 3, labels=["dog"], num_steps=6)
    assert mixed.origin is not None
    assert mixed.origin.latents is not None
    np.testing.assert_allclose(mixed.origin.latents[:1], latents.samples, atol=1e-6)
    with pytest.raises(ddim_edge.ConfigError, match="at least 2 frames, not 1"):
        interpolate(pipeline, 1, 2, 1)
