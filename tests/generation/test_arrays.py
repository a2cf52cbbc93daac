"""Samples of any shape: what the pipeline makes of them, beside a plain loop over the sampler."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest

import ddim_edge
from ddim_edge.bundle.output import Output
from ddim_edge.images.encode import to_pixels
from ddim_edge.networks.components import Components
from ddim_edge.networks.safety_checker import CheckedImages
from tests.generation.array_loop import STEPS, looped, opened, plain_loop
from tests.helpers.array_bundles import (
    CONDITION,
    array_model,
    write_array_bundle,
)
from tests.helpers.tiny_bundles import Array, write_json

SHAPES = [(5,), (16, 2), (5, 8, 6), (2, 3, 4, 5)]
EXTREMES = {"mode": "min_max", "min": [0.0, -5.0], "max": [10.0, 5.0]}


@pytest.fixture(scope="module")
def conditioned(tmp_path_factory: pytest.TempPathFactory) -> ddim_edge.Pipeline:
    """A model of samples (6, 2) that takes three numbers."""
    return opened(tmp_path_factory.mktemp("conditioned"), (6, 2), condition=3)


@pytest.mark.parametrize("shape", SHAPES)
def test_samples_of_any_rank_are_those_of_a_plain_loop(tmp_path: Path, shape: tuple[int, ...]) -> None:
    result = opened(tmp_path, shape).generate(num_images=3, num_steps=STEPS, seed=4)
    assert result.samples.shape == (3, *shape)
    assert result.samples.dtype == np.float32
    wanted = np.concatenate([plain_loop(shape, 4 + index) for index in range(3)])
    np.testing.assert_allclose(result.samples, wanted, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sampler", ["euler", "dpmpp-2m", "unipc", "ddpm"])
def test_other_samplers_and_a_forecast_take_any_rank(tmp_path: Path, shape: tuple[int, ...], sampler: str) -> None:
    pipeline = opened(tmp_path, shape)
    for cache in (None, "forecast"):
        result = pipeline.generate(num_images=2, num_steps=8, sampler=sampler, cache=cache)
        assert result.samples.shape == (2, *shape)
        assert np.isfinite(result.samples).all()


def test_the_normalization_is_undone(tmp_path: Path) -> None:
    plain = opened(tmp_path / "plain", (6, 2)).generate(num_images=2, num_steps=STEPS)
    keys = {"kind": "array", "normalization": EXTREMES}
    restored = opened(tmp_path / "restored", (6, 2), output=keys).generate(num_images=2, num_steps=STEPS)
    scale, offset = np.array([5.0, 5.0]), np.array([5.0, 0.0])
    np.testing.assert_array_equal(restored.samples, (plain.samples * scale + offset).astype(np.float32))


def test_arrays_are_no_images(tmp_path: Path) -> None:
    pipeline = opened(tmp_path, (6, 2))
    result = pipeline.generate(num_steps=STEPS)
    for path in (tmp_path / "out.png", tmp_path / "out.jpg"):
        with pytest.raises(ddim_edge.ConfigError, match="makes arrays, and no images: take its samples"):
            result.save(path)
    with pytest.raises(ddim_edge.ConfigError, match="take its samples"):
        _ = result.images
    _, made = next(pipeline.generate_many([pipeline.request(num_steps=STEPS)]))
    np.testing.assert_array_equal(made.sample, result.samples[0])
    with pytest.raises(ddim_edge.ConfigError, match="take its samples"):
        _ = made.image
    first, *_ = pipeline.run(pipeline.request(num_steps=STEPS))
    with pytest.raises(ddim_edge.ConfigError, match="take its samples"):
        first.estimates()


def test_samples_of_images_are_what_the_pixels_are_rounded_from(tiny_bundle: Path) -> None:
    result = ddim_edge.load(tiny_bundle, provider="cpu").generate(num_images=3, num_steps=STEPS, batch_size=2)
    assert result.samples.dtype == np.float32
    np.testing.assert_array_equal(to_pixels(result.samples), result.images)


def test_the_samples_of_an_unsafe_image_are_black() -> None:
    class Checker:
        def check(self, images: Any) -> CheckedImages:
            return CheckedImages(images * np.array([1, 0], np.uint8).reshape(-1, 1, 1, 1), (True, False))

    samples = np.full((2, 3, 4, 4), 0.5, np.float32)
    components = Components(safety=Checker())  # type: ignore[arg-type]
    finished = components.finished(samples)
    np.testing.assert_array_equal(finished.samples[0], samples[0])
    np.testing.assert_array_equal(finished.samples[1], -1)
    assert components.finished(samples, check=False).samples is samples


def test_a_saved_file_of_samples_holds_floats_and_the_recipe(tmp_path: Path, tiny_bundle: Path) -> None:
    for result in (
        opened(tmp_path, (6, 2)).generate(num_steps=STEPS),
        ddim_edge.load(tiny_bundle).generate(num_steps=2),
    ):
        result.save(tmp_path / "out.npy")
        result.save(tmp_path / "out.npz")
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), result.samples)
        with np.load(tmp_path / "out.npz") as file:
            np.testing.assert_array_equal(file["samples"], result.samples)
            assert str(file["recipe"]).startswith('{"model": ')


def test_a_folder_gets_a_file_for_each_array(tmp_path: Path) -> None:
    result = opened(tmp_path, (6, 2)).generate(num_images=2, num_steps=STEPS)
    result.save(tmp_path / "many")
    with np.load(tmp_path / "many" / "000001.npz") as file:
        np.testing.assert_array_equal(file["samples"], result.samples[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guidance_scale": 2.0}, "needs a null class"),
        ({"height": 8}, "without height and width"),
        ({"labels": ["cat"]}, "has no classes"),
        ({"prompt": "a fox"}, "does not take text"),
        ({"origin": ddim_edge.Origin(image=np.zeros((1, 6, 2), np.float32))}, "no images"),
        ({"origin": ddim_edge.Origin(latents=np.zeros((1, 2, 6), np.float32))}, r"needs \(N, \(6, 2\)\)"),
        ({"vae_tiling": True}, "no autoencoder"),
    ],
)
def test_options_that_arrays_do_not_have_are_refused(
    conditioned: ddim_edge.Pipeline, options: dict[str, Any], message: str
) -> None:
    given = {CONDITION: np.zeros(3, np.float32)}
    with pytest.raises(ddim_edge.ConfigError, match=message):
        conditioned.request(conditioning=given, **options)


def test_latents_may_have_any_rank(conditioned: ddim_edge.Pipeline) -> None:
    noise = ddim_edge.noise_stream(3)((1, 6, 2))
    given: dict[str, Any] = {"conditioning": {CONDITION: np.zeros(3)}, "num_steps": STEPS}
    started = conditioned.generate(origin=ddim_edge.Origin(latents=noise), **given)
    np.testing.assert_array_equal(started.samples, conditioned.generate(seed=3, **given).samples)


def test_pictures_alone_can_be_encoded_and_have_their_memory_estimated(conditioned: ddim_edge.Pipeline) -> None:
    with pytest.raises(ddim_edge.ConfigError, match="and no images"):
        ddim_edge.encode(conditioned, np.zeros((1, 6, 2), np.float32))
    with pytest.raises(ddim_edge.ConfigError, match="and no images"):
        ddim_edge.interpolate(conditioned, 1, 2, 3)
    with pytest.raises(ddim_edge.ConfigError, match="max_memory is estimated for images"):
        ddim_edge.load(conditioned.bundle.folder, provider="cpu", max_memory="2GB")


@pytest.mark.parametrize(
    ("declared", "described", "message"),
    [
        ((16, 2), (3, 8, 8), r"shape \(16, 2\), and its config.json describes \(3, 8, 8\)"),
        ((3, 8, 8), (16, 2), r"shape \(3, 8, 8\), and its config.json describes \(16, 2\)"),
        ((16, 2), (16, 3), r"shape \(16, 2\), and its config.json describes \(16, 3\)"),
    ],
)
def test_a_graph_of_another_shape_is_named(
    tmp_path: Path, declared: tuple[int, ...], described: tuple[int, ...], message: str
) -> None:
    folder = write_array_bundle(tmp_path / "arrays", described, array_model(declared))
    with pytest.raises(ddim_edge.BundleError, match=message):
        ddim_edge.load(folder, provider="cpu")


def test_a_graph_without_axes_behind_the_batch_is_no_denoiser(tmp_path: Path) -> None:
    folder = write_array_bundle(tmp_path / "arrays", (3,), array_model(()))
    with pytest.raises(ddim_edge.BundleError, match="a batch axis and at least one more: it is no denoiser"):
        ddim_edge.load(folder, provider="cpu")


def test_guidance_leads_away_from_the_null_class_with_the_same_conditioning(tmp_path: Path) -> None:
    graph = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 18]>
        unet (float[b, 6, 2] sample, float[b] timestep, int64[b] class_labels, float[b, 1, 1] shift)
          => (float[b, 6, 2] out_sample)
        <float gain = {0.5}, float[2, 1, 1] table = {0.25, -0.5}> {
            embedded = Gather(table, class_labels)
            scaled = Mul(sample, gain)
            moved = Mul(scaled, shift)
            out_sample = Add(moved, embedded)
        }"""
    )
    folder = write_array_bundle(tmp_path / "arrays", (6, 2), graph)
    write_json(folder / "model_index.json", {"id2label": {"0": "left", "1": "none"}, "null_class": 1})
    pipeline = ddim_edge.load(folder, provider="cpu")
    shift = np.array([[[2.0]], [[-1.0]]], np.float32)
    result = pipeline.generate(labels=["left"], conditioning={"shift": shift}, guidance_scale=3.0, num_steps=STEPS)
    for index, moved in enumerate(shift):
        network = partial(_guided, shift=moved)
        wanted = looped((6, 2), index, network)
        np.testing.assert_allclose(result.samples[index : index + 1], wanted, atol=1e-5)


def _guided(sample: Array, _timestep: float, shift: Array) -> Array:
    """Both rows have the same shift; -0.5 + 3·(0.25 + 0.5) is 1.75."""
    prediction: Array = sample * np.float32(0.5) * shift + np.float32(1.75)
    return prediction


def test_images_may_take_arrays_by_name(tmp_path: Path) -> None:
    pipeline = opened(tmp_path, (1, 8, 8), condition=3)
    values = np.array([[1, 2, 3], [-4, 0, 4]], np.float32)
    result = pipeline.generate(conditioning={CONDITION: values}, num_steps=STEPS)
    assert result.images.shape == (2, 8, 8, 1)
    np.testing.assert_allclose(result.samples[1:], plain_loop((1, 8, 8), 1, values[1]), atol=1e-6)


def test_images_have_no_output_beside_pixels(tiny_bundle: Path) -> None:
    assert ddim_edge.load(tiny_bundle, provider="cpu").components.output == Output("image")
