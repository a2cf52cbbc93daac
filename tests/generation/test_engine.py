"""Jobs that share network calls end where each would end alone."""

import functools
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ddim_edge
from ddim_edge.diffusion.guidance import guide
from ddim_edge.diffusion.noise import noise_stream
from ddim_edge.diffusion.samplers import Query, Sampler
from ddim_edge.networks.denoiser import Denoiser
from tests.helpers.counting import CountingSession
from tests.helpers.tiny_bundles import NULL_CLASS, Array, tiny_model, tiny_prediction, write_bundle

SHAPE = (1, 1, 8, 8)


@dataclass(frozen=True)
class Kind:
    """Everything in which two jobs can differ."""

    num_steps: int = 4
    eta: float = 0.0
    scale: float = 1.0
    label: int = 0
    seed: int = 0

    def sampler(self) -> ddim_edge.Sampler:
        draw = noise_stream(self.seed)
        config = ddim_edge.DdimConfig(eta=self.eta)
        return ddim_edge.start(config, self.num_steps, draw(SHAPE), partial(draw, SHAPE))

    def job(self) -> ddim_edge.Job:
        return ddim_edge.Job(self.sampler(), _condition(self.label), _condition(NULL_CLASS), self.scale)


def _condition(label: int) -> dict[str, Any]:
    return {"class_labels": np.array([label])}


@functools.cache
def alone(kind: Kind) -> Array:
    """The result without engine, denoiser or graph: a plain loop over the formula."""
    sampler = kind.sampler()
    query = next(sampler)
    while True:
        prediction = tiny_prediction(query.sample, query.timestep, kind.label)
        if kind.scale != 1:
            null = tiny_prediction(query.sample, query.timestep, NULL_CLASS)
            prediction = guide(prediction, null, np.array([kind.scale], np.float32))
        try:
            query = sampler.send(prediction)
        except StopIteration as stop:
            return np.asarray(stop.value)


@pytest.fixture(scope="module")
def graph(tiny_bundle: Path) -> Path:
    return tiny_bundle / "unet" / "model.onnx"


@pytest.fixture(scope="module")
def scalar_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scalar") / "bundle"
    return write_bundle(folder, tiny_model(scalar_timestep=True)) / "unet" / "model.onnx"


def _engine(graph: Path, max_rows: int = 64) -> tuple[ddim_edge.Engine, CountingSession]:
    session = CountingSession(graph)
    return ddim_edge.Engine(Denoiser(session), max_rows), session


def _drain(engine: ddim_edge.Engine) -> list[ddim_edge.Job]:
    ended = []
    while engine.jobs:
        ended += engine.step()
    return ended


MIXED = (
    Kind(num_steps=3, seed=1),
    Kind(num_steps=7, eta=1.0, label=1, seed=2),
    Kind(num_steps=5, eta=0.5, label=2, scale=3.0, seed=3),
    Kind(num_steps=1, label=2, scale=0.0, seed=4),
    Kind(num_steps=4, label=1, scale=1.0, seed=5),
)


def test_different_jobs_in_one_call_end_as_alone(graph: Path) -> None:
    engine, session = _engine(graph)
    jobs = [kind.job() for kind in MIXED]
    for job in jobs:
        engine.add(job)
    ended = _drain(engine)
    assert [job.calls for job in jobs] == [kind.num_steps for kind in MIXED]
    assert {id(job) for job in ended} == {id(job) for job in jobs}
    for job, kind in zip(jobs, MIXED, strict=True):
        np.testing.assert_array_equal(job.result(), alone(kind))
    # Call by call: five jobs, of which two guided ones take a row more, and fewer as they end.
    assert session.calls == [7, 5, 5, 4, 3, 1, 1]


def test_a_call_holds_rows_at_different_timesteps(graph: Path) -> None:
    engine, session = _engine(graph)
    for num_steps in (2, 4, 5):
        engine.add(Kind(num_steps=num_steps).job())
    engine.step()
    assert session.timesteps == [[500, 750, 800]]


def test_a_scale_of_one_costs_no_row_and_a_guided_job_one(graph: Path) -> None:
    engine, session = _engine(graph)
    engine.add(Kind(num_steps=2, scale=1.0).job())
    _drain(engine)
    engine.add(Kind(num_steps=2, scale=2.0).job())
    _drain(engine)
    assert session.calls == [1, 1, 2, 2]


def test_a_scale_without_a_null_conditioning_costs_no_row(graph: Path) -> None:
    engine, session = _engine(graph)
    engine.add(ddim_edge.Job(Kind(num_steps=1).sampler(), _condition(0), None, 5.0))
    _drain(engine)
    assert session.calls == [1]


def test_jobs_join_and_leave_between_steps(graph: Path) -> None:
    engine, session = _engine(graph)
    first, second, third = (Kind(num_steps=steps, seed=steps).job() for steps in (4, 3, 2))
    engine.add(first)
    assert engine.step() == []
    engine.add(second)
    assert engine.step() == []
    engine.add(third)
    engine.remove(second)
    assert engine.step() == []
    assert engine.step() == [first, third]
    assert engine.step() == []
    assert session.calls == [1, 2, 2, 2]
    np.testing.assert_array_equal(first.result(), alone(Kind(num_steps=4, seed=4)))
    np.testing.assert_array_equal(third.result(), alone(Kind(num_steps=2, seed=2)))


def test_a_removed_job_is_not_asked_again(graph: Path) -> None:
    engine, session = _engine(graph)
    job = Kind(num_steps=5).job()
    engine.add(job)
    engine.step()
    engine.remove(job)
    assert engine.step() == []
    assert (job.calls, session.calls) == (1, [1])
    assert next(job.sampler, "closed") == "closed"
    with pytest.raises(ValueError, match="has not ended"):
        job.result()


def test_max_rows_is_respected_and_the_first_come_is_served_first(graph: Path) -> None:
    engine, session = _engine(graph, max_rows=4)
    jobs = [Kind(num_steps=3, seed=seed, scale=1.0 + seed % 2).job() for seed in range(6)]
    for job in jobs:
        engine.add(job)
    assert _drain(engine) == [jobs[0], jobs[1], jobs[2], jobs[3], jobs[4], jobs[5]]
    assert max(session.calls) <= 4
    assert sum(session.calls) == 3 * (3 * 1 + 3 * 2)


def test_nobody_starves_behind_newcomers(graph: Path) -> None:
    engine, _ = _engine(graph, max_rows=2)
    waiting = Kind(num_steps=2, scale=2.0, seed=1).job()
    engine.add(Kind(num_steps=2).job())
    engine.add(waiting)
    for seed in range(2, 6):
        engine.add(Kind(num_steps=1, seed=seed).job())
        engine.step()
    assert waiting.result().shape == SHAPE


def test_a_guided_job_runs_even_where_max_rows_is_one(graph: Path) -> None:
    engine, session = _engine(graph, max_rows=1)
    engine.add(Kind(num_steps=1, scale=2.0).job())
    _drain(engine)
    assert session.calls == [2]


def test_a_scalar_timestep_shares_calls_only_at_one_timestep(scalar_graph: Path) -> None:
    engine, session = _engine(scalar_graph)
    kinds = [Kind(num_steps=4, seed=1), Kind(num_steps=4, seed=2, scale=2.0, label=2), Kind(num_steps=2, seed=3)]
    jobs = [kind.job() for kind in kinds]
    for job in jobs:
        engine.add(job)
    _drain(engine)
    for job, kind in zip(jobs, kinds, strict=True):
        np.testing.assert_array_equal(job.result(), alone(kind))
    # 750 for two jobs, then 500 for all three, then 250 for two, and timestep 0 for all again.
    assert session.timesteps == [[750], [500], [250], [0]]
    assert session.calls == [3, 4, 3, 4]


def test_nan_ends_its_own_job_alone_and_says_where(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", tiny_model(nan_at=(500, 2)))
    engine, _ = _engine(folder / "unet" / "model.onnx")
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
    _drain(engine)
    np.testing.assert_array_equal(jobs[0].result(), alone(well))
    np.testing.assert_array_equal(jobs[2].result(), alone(well))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_finished_sample_that_is_not_finite_fails_its_own_job_alone(tiny_bundle: Path, value: float) -> None:
    """Whichever sampler made it, and although every prediction was finite."""

    def overflowing() -> Sampler:
        yield Query(np.zeros(SHAPE, np.float32), 500, None)
        return np.full(SHAPE, value, np.float32)

    engine, _ = _engine(tiny_bundle / "unet" / "model.onnx")
    well = Kind(num_steps=4, label=1)
    jobs = [ddim_edge.Job(overflowing(), _condition(0)), well.job()]
    for job in jobs:
        engine.add(job)
    assert engine.step() == [jobs[0]]
    with pytest.raises(ddim_edge.PredictionError, match="the sample has NaN or infinity after 1 network calls"):
        jobs[0].result()
    _drain(engine)
    np.testing.assert_array_equal(jobs[1].result(), alone(well))


def test_infinity_from_half_precision_is_an_error(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", tiny_model(half=True))
    engine, _ = _engine(folder / "unet" / "model.onnx")
    too_large = np.full(SHAPE, 1e6, np.float32)
    job = ddim_edge.Job(ddim_edge.start(ddim_edge.DdimConfig(), 2, too_large), _condition(0))
    engine.add(job)
    with np.errstate(over="ignore"), pytest.raises(ddim_edge.PredictionError, match="NaN or infinity in fp16"):
        engine.step()  # of a network that has made no image yet, it is the network's fault
    engine.denoiser.session.needs_fp16_check = False
    with np.errstate(over="ignore"):
        assert _drain(engine) == [job]
    with pytest.raises(ddim_edge.PredictionError, match="call 1, timestep 500"):
        job.result()


kinds = st.builds(
    Kind,
    num_steps=st.integers(1, 5),
    eta=st.sampled_from([0.0, 0.5, 1.0]),
    scale=st.sampled_from([0.0, 1.0, 2.5]),
    label=st.integers(0, 2),
    seed=st.integers(0, 3),
)
actions = st.one_of(kinds, st.just("step"), st.tuples(st.just("remove"), st.integers(0, 9)))


@settings(max_examples=60, deadline=None)
@given(script=st.lists(actions, max_size=25), max_rows=st.integers(2, 7), scalar=st.booleans())
def test_any_interleaving_gives_each_job_its_own_result(
    graph: Path, scalar_graph: Path, script: list[Any], max_rows: int, scalar: bool
) -> None:
    engine, session = _engine_of(scalar_graph if scalar else graph, max_rows)
    expected: dict[ddim_edge.Job, Kind] = {}
    for action in script:
        if isinstance(action, Kind):
            job = action.job()
            expected[job] = action
            engine.add(job)
        elif action == "step":
            engine.step()
        elif engine.jobs:
            gone = engine.jobs[action[1] % len(engine.jobs)]
            engine.remove(gone)
            del expected[gone]
    _drain(engine)
    for job, kind in expected.items():
        assert job.calls == kind.num_steps
        np.testing.assert_array_equal(job.result(), alone(kind))
    assert all(rows <= max_rows for rows in session.calls)


@functools.cache
def _shared_session(graph: Path) -> CountingSession:
    return CountingSession(graph)


def _engine_of(graph: Path, max_rows: int) -> tuple[ddim_edge.Engine, CountingSession]:
    session = _shared_session(graph)
    session.calls.clear()
    return ddim_edge.Engine(Denoiser(session), max_rows), session
