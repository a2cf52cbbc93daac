"""unet_step.onnx beside model.onnx, guidance and ``DdimSchedule``: the same numbers."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ddim_edge import DdimConfig, DdimSchedule, ddim
from ddim_edge.diffusion.guidance import guide
from ddim_edge_export.fuse import fuse_bundle, fuse_step
from ddim_edge_export.graph.fused_step import COLUMNS
from tests.helpers.tiny_bundles import write_bundle

Array = NDArray[np.float32]
FASHION = Path(__file__).parents[2] / "models" / "fashion-mnist"
CLASS, NULL_CLASS = 7, 10


def run(path: Path) -> Callable[..., list[Any]]:
    """A graph as a function of its inputs."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda **feeds: list(session.run(None, feeds))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Callable[..., list[Any]], Callable[..., list[Any]]]:
    """The tiny bundle's graph, plain and with its step."""
    unet = write_bundle(tmp_path_factory.mktemp("tiny") / "bundle") / "unet"
    return run(unet / "model.onnx"), run(fuse_step(unet))


@pytest.fixture(scope="module")
def fashion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model with its step. Leave it as it is."""
    bundle = Path(shutil.copytree(FASHION, tmp_path_factory.mktemp("fashion") / "bundle"))
    fuse_bundle(bundle)
    return bundle


numbers = st.floats(-3, 3, width=32)
rows = st.tuples(*[numbers] * 5, st.just(0.0) | st.floats(0, 2), st.just(np.inf) | st.floats(0, 3), st.floats(-2, 20))


@settings(max_examples=60, deadline=None)
@given(table=st.lists(rows, min_size=1, max_size=5), guided=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_any_row_of_coefficients(
    table: list[tuple[float, ...]], guided: bool, seed: int, tiny: tuple[Callable[..., Any], Callable[..., Any]]
) -> None:
    random, images = np.random.default_rng(seed), len(table)
    coefficients = np.array(table, np.float32)
    x, noise = random.standard_normal((2, images, 1, 8, 8), np.float32)
    repeats = 2 if guided else 1
    others = {
        "timestep": np.tile(random.integers(0, 1000, images), repeats),
        "class_labels": random.integers(0, 4, repeats * images),
    }
    plain, fused = tiny
    (expected,) = plain(sample=np.tile(x, (repeats, 1, 1, 1)), **others)
    prediction, following, denoised = fused(sample=x, **others, step_coefficients=coefficients, noise=noise)
    np.testing.assert_array_equal(prediction, expected)

    columns = dict(zip(COLUMNS, coefficients.T.reshape(len(COLUMNS), images, 1, 1, 1), strict=True))
    p = guide(expected[:images], expected[-images:], coefficients[:, -1])
    x_0 = np.clip(columns["x0_x"] * x + columns["x0_p"] * p, -columns["limit"], columns["limit"])
    terms = columns["next_x"] * x, columns["next_p"] * p, columns["next_x0"] * x_0, columns["sigma"] * noise
    np.testing.assert_allclose(denoised, x_0, rtol=1e-5, atol=1e-5 * max(1, np.abs(p).max()))
    scale = sum(float(np.abs(term).max()) for term in terms)
    np.testing.assert_allclose(following, sum(terms), rtol=1e-5, atol=1e-5 * max(1, scale))


def coefficients_of(schedule: DdimSchedule, step: int, scale: float) -> Array:
    limit = schedule.config.clip_range if schedule.config.clip_denoised_sample else np.inf
    row = schedule.rows[step]
    return np.array([[*(getattr(row, name) for name in COLUMNS[:6]), limit, scale]], np.float32)


@pytest.mark.parametrize(("eta", "clips"), [(0.0, False), (1.0, True)])
@pytest.mark.parametrize("scale", [None, 2.5])
def test_a_whole_run_that_is_fed_with_its_own_outputs(
    eta: float, clips: bool, scale: float | None, fashion: Path
) -> None:
    config = DdimConfig(
        beta_schedule="squared_cosine", prediction_type="angular_velocity", eta=eta, clip_denoised_sample=clips
    )
    schedule = DdimSchedule(config, 8)
    start, *noises = np.random.default_rng(0).standard_normal((9, 1, 1, 28, 28), np.float32)
    labels = np.array([CLASS] if scale is None else [CLASS, NULL_CLASS])
    plain, fused = run(fashion / "unet" / "model.onnx"), run(fashion / "unet" / "unet_step.onnx")

    fresh = iter(noises)
    sampler = ddim(schedule, start, lambda: next(fresh))
    query = next(sampler)
    sample = start
    for step, timestep in enumerate(schedule.timesteps):
        times = np.full(len(labels), timestep)
        both = np.repeat(query.sample, len(labels), axis=0)
        (prediction,) = plain(sample=both, timestep=times, class_labels=labels)
        guided = guide(prediction[:1], prediction[-1:], np.array([scale or 1], np.float32))
        _, sample, denoised = fused(
            sample=sample,
            timestep=times,
            class_labels=labels,
            step_coefficients=coefficients_of(schedule, step, scale or 1.0),
            noise=noises[step],
        )
        try:
            query = sampler.send(guided)
        except StopIteration as end:
            np.testing.assert_allclose(sample, end.value, atol=2e-5)
            break
        np.testing.assert_allclose(sample, query.sample, atol=2e-5)
        assert query.denoised is not None
        np.testing.assert_allclose(denoised, query.denoised, atol=1e-4)
    assert np.abs(sample).max() > 0.5
