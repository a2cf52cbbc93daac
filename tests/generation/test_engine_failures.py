"""A job that ends in NaN or infinity ends alone, and says where."""

from pathlib import Path

import numpy as np
import pytest

import ddim_edge
from ddim_edge.diffusion.samplers import Query, Sampler
from tests.generation.engine_jobs import SHAPE, Kind, alone, condition, drain, engine_on
from tests.helpers.tiny_bundles import tiny_model, write_bundle


def test_nan_ends_its_own_job_alone_and_says_where(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", tiny_model(nan_at=(500, 2)))
    engine, _ = engine_on(folder / "unet" / "model.onnx")
    well, ill = Kind(num_steps=4, label=1), Kind(num_steps=4, label=2)
    jobs = [well.job(), ill.job(), well.job()]
    for job in jobs:
        engine.add(job)
    assert engine.step() == []
    assert engine.step() == [jobs[1]]
    with pytest.raises(
        ddim_edge.PredictionError, match="unet returned NaN or infinity at network call 2, timestep 500"
    ):
        jobs[1].result()
    drain(engine)
    np.testing.assert_array_equal(jobs[0].result(), alone(well))
    np.testing.assert_array_equal(jobs[2].result(), alone(well))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_finished_sample_that_is_not_finite_fails_its_own_job_alone(tiny_bundle: Path, value: float) -> None:
    """Whichever sampler made it, and although every prediction was finite."""

    def overflowing() -> Sampler:
        yield Query(np.zeros(SHAPE, np.float32), 500, None)
        return np.full(SHAPE, value, np.float32)

    engine, _ = engine_on(tiny_bundle / "unet" / "model.onnx")
    well = Kind(num_steps=4, label=1)
    jobs = [ddim_edge.Job(overflowing(), condition(0)), well.job()]
    for job in jobs:
        engine.add(job)
    assert engine.step() == [jobs[0]]
    with pytest.raises(ddim_edge.PredictionError, match="the sample has NaN or infinity after 1 network calls"):
        jobs[0].result()
    drain(engine)
    np.testing.assert_array_equal(jobs[1].result(), alone(well))


def test_infinity_from_half_precision_is_an_error(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", tiny_model(half=True))
    engine, _ = engine_on(folder / "unet" / "model.onnx")
    too_large = np.full(SHAPE, 1e6, np.float32)
    job = ddim_edge.Job(ddim_edge.start(ddim_edge.DdimConfig(), 2, too_large), condition(0))
    engine.add(job)
    with np.errstate(over="ignore"), pytest.raises(ddim_edge.PredictionError, match="NaN or infinity in fp16"):
        engine.step()  # of a network that has made no image yet, it is the network's fault
    engine.denoiser.session.needs_fp16_check = False
    with np.errstate(over="ignore"):
        assert drain(engine) == [job]
    with pytest.raises(ddim_edge.PredictionError, match="call 1, timestep 500"):
        job.result()
