"""Jobs that share network calls end where each would end alone."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ddim_edge
from ddim_edge.networks.denoiser import Denoiser
from tests.generation.engine_jobs import SHAPE, Kind, alone, condition, drain, engine_on
from tests.helpers.counting import CountingSession
from tests.helpers.tiny_bundles import tiny_model, write_bundle


@pytest.fixture(scope="module")
def graph(tiny_bundle: Path) -> Path:
    return tiny_bundle / "unet" / "model.onnx"


@pytest.fixture(scope="module")
def scalar_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scalar") / "bundle"
    return write_bundle(folder, tiny_model(scalar_timestep=True)) / "unet" / "model.onnx"


MIXED = (
    Kind(num_steps=3, seed=1),
    Kind(num_steps=7, eta=1.0, label=1, seed=2),
    Kind(num_steps=5, eta=0.5, label=2, scale=3.0, seed=3),
    Kind(num_steps=1, label=2, scale=0.0, seed=4),
    Kind(num_steps=4, label=1, scale=1.0, seed=5),
)


def test_different_jobs_in_one_call_end_as_alone(graph: Path) -> None:
    engine, session = engine_on(graph)
    jobs = [kind.job() for kind in MIXED]
    for job in jobs:
        engine.add(job)
    ended = drain(engine)
    assert [job.calls for job in jobs] == [kind.num_steps for kind in MIXED]
    assert {id(job) for job in ended} == {id(job) for job in jobs}
    for job, kind in zip(jobs, MIXED, strict=True):
        np.testing.assert_array_equal(job.result(), alone(kind))
    # Call by call: five jobs, of which two guided ones take a row more, and fewer as they end.
    assert session.calls == [7, 5, 5, 4, 3, 1, 1]


def test_a_call_holds_rows_at_different_timesteps(graph: Path) -> None:
    engine, session = engine_on(graph)
    for num_steps in (2, 4, 5):
        engine.add(Kind(num_steps=num_steps).job())
    engine.step()
    assert session.timesteps == [[500, 750, 800]]


def test_a_scale_of_one_costs_no_row_and_a_guided_job_one(graph: Path) -> None:
    engine, session = engine_on(graph)
    engine.add(Kind(num_steps=2, scale=1.0).job())
    drain(engine)
    engine.add(Kind(num_steps=2, scale=2.0).job())
    drain(engine)
    assert session.calls == [1, 1, 2, 2]


def test_a_scale_without_a_null_conditioning_costs_no_row(graph: Path) -> None:
    engine, session = engine_on(graph)
    engine.add(ddim_edge.Job(Kind(num_steps=1).sampler(), condition(0), None, 5.0))
    drain(engine)
    assert session.calls == [1]


def test_jobs_join_and_leave_between_steps(graph: Path) -> None:
    engine, session = engine_on(graph)
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
    engine, session = engine_on(graph)
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
    engine, session = engine_on(graph, max_rows=4)
    jobs = [Kind(num_steps=3, seed=seed, scale=1.0 + seed % 2).job() for seed in range(6)]
    for job in jobs:
        engine.add(job)
    assert drain(engine) == [jobs[0], jobs[1], jobs[2], jobs[3], jobs[4], jobs[5]]
    assert max(session.calls) <= 4
    assert sum(session.calls) == 3 * (3 * 1 + 3 * 2)


def test_nobody_starves_behind_newcomers(graph: Path) -> None:
    engine, _ = engine_on(graph, max_rows=2)
    waiting = Kind(num_steps=2, scale=2.0, seed=1).job()
    engine.add(Kind(num_steps=2).job())
    engine.add(waiting)
    for seed in range(2, 6):
        engine.add(Kind(num_steps=1, seed=seed).job())
        engine.step()
    assert waiting.result().shape == SHAPE


def test_a_guided_job_runs_even_where_max_rows_is_one(graph: Path) -> None:
    engine, session = engine_on(graph, max_rows=1)
    engine.add(Kind(num_steps=1, scale=2.0).job())
    drain(engine)
    assert session.calls == [2]


def test_a_scalar_timestep_shares_calls_only_at_one_timestep(scalar_graph: Path) -> None:
    engine, session = engine_on(scalar_graph)
    kinds = [Kind(num_steps=4, seed=1), Kind(num_steps=4, seed=2, scale=2.0, label=2), Kind(num_steps=2, seed=3)]
    jobs = [kind.job() for kind in kinds]
    for job in jobs:
        engine.add(job)
    drain(engine)
    for job, kind in zip(jobs, kinds, strict=True):
        np.testing.assert_array_equal(job.result(), alone(kind))
    # 750 for two jobs, then 500 for all three, then 250 for two, and timestep 0 for all again.
    assert session.timesteps == [[750], [500], [250], [0]]
    assert session.calls == [3, 4, 3, 4]


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
    drain(engine)
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
