"""Graphs that take one batch only, and providers that compile for every shape: the same answers, padded."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ddim_edge
from ddim_edge.bundle.read import open_bundle
from ddim_edge.generation.requests.option_table import Options
from ddim_edge.networks.denoiser import Denoiser
from ddim_edge.networks.row import Row
from tests.helpers.counting import CountingSession
from tests.helpers.tiny_bundles import tiny_model, tiny_prediction, write_bundle


def rows(count: int, guided: int = 0) -> list[Row]:
    """``count`` different questions, the first ``guided`` of them with guidance."""
    generator = np.random.default_rng(count)
    samples = generator.standard_normal((count, 1, 1, 8, 8)).astype(np.float32)
    null = {"class_labels": np.array([3])}
    return [
        Row(sample, 100 + index, {"class_labels": np.array([index % 3])}, null if index < guided else None, 2.0)
        for index, sample in enumerate(samples)
    ]


def session_of(folder: Path) -> CountingSession:
    return CountingSession(open_bundle(folder).folder / "unet" / "model.onnx")


@pytest.mark.parametrize(("count", "guided", "calls"), [(1, 0, 1), (3, 0, 1), (4, 0, 2), (2, 2, 2), (7, 3, 4)])
def test_a_fixed_batch_is_asked_as_often_as_it_takes(
    new_bundle: Callable[..., Path], count: int, guided: int, calls: int
) -> None:
    session = session_of(new_bundle(tiny_model(batch=3)))
    answers = Denoiser(session).predict(rows(count, guided))
    assert session.calls == [3] * calls
    for row, answer in zip(rows(count, guided), answers, strict=True):
        conditional = tiny_prediction(row.sample[0], row.timestep, int(row.conditioning["class_labels"][0]))
        null = tiny_prediction(row.sample[0], row.timestep, 3)
        wanted = conditional if row.unconditional is None else null + 2 * (conditional - null)
        np.testing.assert_allclose(answer, wanted, rtol=1e-5, atol=1e-6)


def test_one_image_of_a_fixed_batch_is_that_of_a_free_one(tmp_path: Path, new_bundle: Callable[..., Path]) -> None:
    free = ddim_edge.load(new_bundle(), "cpu")
    fixed = ddim_edge.load(write_bundle(tmp_path / "fixed", tiny_model(batch=1)), "cpu")
    options: Options = {"labels": ["cat", "dog", "cat"], "num_steps": 5, "guidance_scale": 2.0, "seed": 3}
    np.testing.assert_array_equal(free.generate(**options).images, fixed.generate(**options).images)


def test_a_provider_that_compiles_for_every_shape_sees_powers_of_two(new_bundle: Callable[..., Path]) -> None:
    session = session_of(new_bundle())
    denoiser = Denoiser(session)
    told: list[int] = []
    denoiser.on_call = lambda rows, _seconds: told.append(rows)
    plain = [denoiser.predict(rows(count)) for count in range(1, 18)]
    session.static_shapes = True
    padded = [denoiser.predict(rows(count)) for count in range(1, 18)]
    assert session.calls[17:] == [1, 2, 4, 4, 8, 8, 8, 8, *[16] * 8, 32]
    assert told == [*range(1, 18)] * 2
    for one, other in zip(plain, padded, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("batch", [0, 1025, 2**31])
def test_a_fixed_batch_that_takes_all_memory_is_refused(new_bundle: Callable[..., Path], batch: int) -> None:
    session = session_of(new_bundle(tiny_model(batch=batch)))
    with pytest.raises(ddim_edge.BundleError, match=f"unet takes {batch} rows in every call, and 1 to 1024"):
        Denoiser(session)
