"""From options to images: seeds, labels, checks, and batches that come one by one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.diffusion.noise import noise_stream
from ddim_edge.generation.requests.request import Request
from tests.helpers.counting import CountingSession
from tests.helpers.tiny_bundles import LABELS, NULL_CLASS, tiny_model, tiny_prediction, write_bundle


@pytest.fixture(scope="module")
def pipeline(tiny_bundle: Path) -> ddim_edge.Pipeline:
    return ddim_edge.load(tiny_bundle, "cpu")


@pytest.fixture
def counted(tiny_bundle: Path) -> tuple[ddim_edge.Pipeline, CountingSession]:
    pipeline = ddim_edge.load(tiny_bundle, "cpu")
    session = CountingSession(tiny_bundle / "unet" / "model.onnx")
    pipeline.denoiser.session = session
    return pipeline, session


def test_the_defaults(pipeline: ddim_edge.Pipeline) -> None:
    assert pipeline.request() == Request(num_images=1, labels=(0, 1, 2), sampler=pipeline.bundle.own_sampler)
    result = pipeline.generate(num_steps=2)
    assert (result.images.shape, result.images.dtype.name, result.provider) == ((1, 8, 8, 1), "uint8", "cpu")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("num_inference_steps", "there is no option 'num_inference_steps': it is called num_steps here"),
        ("scheduler", "it is called sampler here"),
        ("num_images_per_prompt", "it is called num_images here"),
        ("generator", "it is called seed here"),
        ("guidance_scal", "did you mean guidance_scale"),
        ("output_type", "the options are num_images, labels, prompt,"),
        ("rows_per_call", "the options are"),
    ],
)
def test_names_of_other_libraries_are_answered(pipeline: ddim_edge.Pipeline, name: str, words: str) -> None:
    wrong: Any = {name: 3}
    with pytest.raises(ddim_edge.ConfigError, match=words):
        pipeline.generate(**wrong)


def test_the_result_is_that_of_the_formula(pipeline: ddim_edge.Pipeline) -> None:
    draw = noise_stream(7)
    schedule = ddim_edge.DdimSchedule(ddim_edge.DdimConfig(eta=0.5), 3)
    sample = draw((1, 1, 8, 8))
    for step, timestep in enumerate(schedule.timesteps.tolist()):
        conditional, null = tiny_prediction(sample, timestep, 1), tiny_prediction(sample, timestep, NULL_CLASS)
        guided = null + np.float32(2) * (conditional - null)
        fresh = draw(sample.shape) if schedule.is_stochastic(step) else None
        sample, _ = schedule.step(step, sample, guided, fresh)
    images = pipeline.generate(labels=["dog"], num_steps=3, eta=0.5, seed=7, guidance_scale=2.0).images
    expected = np.round(np.clip(sample / 2 + 0.5, 0, 1) * 255)
    np.testing.assert_array_equal(images[0, :, :, 0], expected[0, 0])


@pytest.mark.parametrize("batch_size", [1, 2, 5, 16])
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("noise", ["torch", "numpy"])
def test_image_k_is_the_image_of_its_own_seed(
    pipeline: ddim_edge.Pipeline, batch_size: int, eta: float, noise: Any
) -> None:
    options: dict[str, Any] = {"num_steps": 3, "eta": eta, "noise": noise}
    images = pipeline.generate(labels=["dog"], num_images=5, seed=40, batch_size=batch_size, **options).images
    for index, image in enumerate(images):
        alone = pipeline.generate(labels=["dog"], seed=40 + index, **options).images[0]
        np.testing.assert_array_equal(image, alone)
    assert len(np.unique(images.reshape(5, -1), axis=0)) == 5


def test_the_noise_of_image_k_is_that_of_its_own_seed_bit_for_bit(
    pipeline: ddim_edge.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, list[Any]] = {}

    def remembering(seed: int, kind: Any) -> Callable[[tuple[int, ...]], Any]:
        draw = noise_stream(seed, kind)

        def remembered(shape: tuple[int, ...]) -> Any:
            values = draw(shape)
            seen.setdefault(seed, []).append(values)
            return values

        return remembered

    monkeypatch.setattr("ddim_edge.generation.jobs.noise_stream", remembering)
    pipeline.generate(num_images=3, num_steps=4, eta=1.0, seed=5, batch_size=2)
    assert sorted(seen) == [5, 6, 7]
    for seed, drawn in seen.items():
        draw = noise_stream(seed)
        assert len(drawn) == 4  # the initial sample, and one a step but for the last
        for values in drawn:
            np.testing.assert_array_equal(values, draw((1, 1, 8, 8)))


def test_the_bundled_model_does_not_depend_on_the_batch() -> None:
    pipeline = ddim_edge.load("fashion-mnist", "cpu")
    options: dict[str, Any] = {"labels": ["sneaker"], "num_steps": 5, "num_images": 3, "seed": 9}
    together = pipeline.generate(batch_size=3, **options).images.astype(int)
    apart = pipeline.generate(batch_size=1, **options).images.astype(int)
    assert np.abs(together - apart).max() <= 1
    np.testing.assert_array_equal(together, pipeline.generate(batch_size=3, **options).images)


def test_labels_come_in_turn(counted: tuple[ddim_edge.Pipeline, CountingSession]) -> None:
    pipeline, _ = counted
    assert [pipeline.request(num_images=5).label(index) for index in range(5)] == [0, 1, 2, 0, 1]
    request = pipeline.request(labels=["Ångström", 0], num_images=3)
    assert [request.label(index) for index in range(3)] == [2, 0, 2]
    assert pipeline.recipe(request)["label_names"] == ["Ångström", "cat"]
    assert pipeline.request(labels=["dog", "dog"]).num_images == 2


def test_guidance_costs_a_row_an_image_and_a_scale_of_one_none(
    counted: tuple[ddim_edge.Pipeline, CountingSession],
) -> None:
    pipeline, session = counted
    pipeline.generate(num_images=5, num_steps=2, batch_size=3)
    pipeline.generate(num_images=5, num_steps=2, batch_size=3, guidance_scale=1.5)
    assert session.calls == [3, 3, 2, 2, 6, 6, 4, 4]


def test_guidance_of_zero_is_the_null_class_for_every_label(pipeline: ddim_edge.Pipeline) -> None:
    images = [pipeline.generate(labels=[label], num_steps=2, guidance_scale=0.0).images for label in LABELS]
    np.testing.assert_array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[0], images[2])


def test_without_classes(plain_bundle: Path) -> None:
    pipeline = ddim_edge.load(plain_bundle, "cpu")
    assert pipeline.generate(num_images=2, num_steps=2).images.shape == (2, 8, 8, 3)
    with pytest.raises(ddim_edge.ConfigError, match="has no classes: leave the labels out"):
        pipeline.generate(labels=["cat"])
    with pytest.raises(ddim_edge.ConfigError, match="guidance_scale 2 needs a null class"):
        pipeline.generate(guidance_scale=2.0)


def test_without_a_null_class_guidance_is_an_error(tmp_path: Path) -> None:
    pipeline = ddim_edge.load(write_bundle(tmp_path / "bundle", null_class=None), "cpu")
    for scale in (0.0, 1.01):
        with pytest.raises(
            ddim_edge.ConfigError, match=f"guidance_scale {scale:g} needs a null class.*leave the guidance"
        ):
            pipeline.generate(guidance_scale=scale)


def test_eta_overrides_the_models_own(tmp_path: Path) -> None:
    pipeline = ddim_edge.load(write_bundle(tmp_path / "bundle", scheduler={"eta": 0.25}), "cpu")
    assert pipeline.request().sampler == ddim_edge.DdimConfig(eta=0.25)
    assert pipeline.request(eta=0.0).sampler == ddim_edge.DdimConfig(eta=0.0)
    own = ddim_edge.DdimConfig(timestep_spacing="trailing", eta=0.5)
    assert pipeline.request(sampler=own).sampler is own
    assert pipeline.request(sampler=own, eta=1.0).sampler == own.replace(eta=1.0)
    images = [pipeline.generate(num_steps=4, eta=eta).images for eta in (None, 0.25, 0.0)]
    np.testing.assert_array_equal(images[0], images[1])
    assert (images[0] != images[2]).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_images": 0}, "num_images must be from 1 to 10000000, not 0"),
        ({"num_images": 1.5}, "num_images must be a whole number"),
        ({"num_steps": 0}, "num_steps must be from 1 to 1000, not 0"),
        ({"num_steps": -1}, "num_steps must be from 1 to 1000, not -1"),
        ({"num_steps": 1001}, "num_steps must be from 1 to 1000, not 1001"),
        ({"num_steps": "ten"}, "num_steps must be a whole number, not 'ten'"),
        ({"num_steps": True}, "num_steps must be a whole number"),
        ({"eta": float("nan")}, "eta must be a finite number"),
        ({"eta": -0.1}, "eta must be a number"),
        ({"eta": 5.0}, "eta 5 needs more noise"),
        ({"seed": -1}, "seed must be from 0"),
        ({"seed": 2**63 - 1, "num_images": 2}, "seed must be from 0 to 9223372036854775806"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"noise": "torhc"}, "noise 'torhc' is unknown. Did you mean 'torch'"),
        ({"guidance_scale": float("nan")}, "guidance_scale must be a number of at least 0, not nan"),
        ({"guidance_scale": float("inf")}, "guidance_scale must be a number of at least 0, not inf"),
        ({"guidance_scale": -1.0}, "guidance_scale must be a number of at least 0"),
        ({"guidance_scale": "2"}, "guidance_scale must be a number of at least 0, not '2'"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"labels": []}, "labels must be a list of class names or numbers, not \\[\\]"),
        ({"labels": "dog"}, "labels must be a list of class names or numbers, not 'dog'"),
        ({"labels": ["dgo"]}, "label 'dgo' is unknown. Did you mean 'dog'"),
        ({"labels": [3]}, "label 3 is out of range: .* 0 to 2"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    pipeline: ddim_edge.Pipeline, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=message):
        pipeline.generate(**options)


def test_every_number_of_steps_up_to_the_training_steps_runs(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", scheduler={"num_train_timesteps": 6, "beta_end": 0.5})
    pipeline = ddim_edge.load(folder, "cpu")
    for num_steps in range(1, 7):
        assert pipeline.generate(num_steps=num_steps).images.shape == (1, 8, 8, 1)
    with pytest.raises(ddim_edge.ConfigError, match="num_steps must be from 1 to 6, not 7"):
        pipeline.generate(num_steps=7)


def test_batches_come_lazily_and_every_call_is_seen(counted: tuple[ddim_edge.Pipeline, CountingSession]) -> None:
    pipeline, session = counted
    run = pipeline.run(pipeline.request(num_images=5000, num_steps=2, batch_size=4))
    assert isinstance(run, Iterator)
    assert session.calls == []
    first, second, third = next(run), next(run), next(run)
    assert [(item.indices, item.calls) for item in (first, second, third)] == [
        (range(4), 1),
        (range(4), 2),
        (range(4, 8), 1),
    ]
    assert first.images is None
    assert third.images is None
    assert second.images is not None
    assert second.images.shape == (4, 8, 8, 1)
    assert session.calls == [4, 4, 4]


def test_a_run_can_be_limited_to_some_batches(pipeline: ddim_edge.Pipeline) -> None:
    request = pipeline.request(num_images=7, num_steps=1, batch_size=3)
    assert list(request.chunks()) == [range(3), range(3, 6), range(6, 7)]
    assert [request.chunk_of(index) for index in (0, 5, 6)] == [range(3), range(3, 6), range(6, 7)]
    whole = pipeline.generate(num_images=7, num_steps=1, batch_size=3).images
    (last,) = pipeline.run(request, [request.chunk_of(6)])
    np.testing.assert_array_equal(last.images, whole[6:])


def test_nan_ends_the_run_with_its_place(tmp_path: Path) -> None:
    pipeline = ddim_edge.load(write_bundle(tmp_path / "bundle", tiny_model(nan_at=(0, 1))), "cpu")
    assert pipeline.generate(labels=["cat"], num_steps=2).images.shape == (1, 8, 8, 1)
    with pytest.raises(ddim_edge.PredictionError, match="unet returned NaN or infinity at network call 2, timestep 0"):
        pipeline.generate(num_images=3, num_steps=2)
