"""Jobs with and without a deep cache share network calls, and end where each ends alone."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ddim_edge
from ddim_edge.diffusion.guidance import TimeInterval, guide
from ddim_edge.diffusion.noise import noise_stream
from ddim_edge.diffusion.samplers import SAMPLERS, schedule_of
from ddim_edge.diffusion.step_cache import CallPlan, StepCache, whole_calls
from ddim_edge.networks.denoiser import Answer, Denoiser
from ddim_edge.networks.row import Row
from tests.helpers.deep_bundles import deep_features, shallow_prediction, write_deep_bundle
from tests.helpers.tiny_bundles import NULL_CLASS, Array

SHAPE = (1, 1, 8, 8)


@dataclass(frozen=True)
class Kind:
    """Everything in which two jobs can differ; ``every`` is the cache's N, 0 without a cache."""

    num_steps: int = 6
    every: int = 3
    eta: float = 0.0
    scale: float = 1.0
    label: int = 0
    seed: int = 0
    guided: TimeInterval | None = None
    sampler: str = "ddim"

    def started(self) -> tuple[ddim_edge.Sampler, int]:
        """The sampler, and how many calls it makes."""
        draw = noise_stream(self.seed)
        config = ddim_edge.DdimConfig(eta=self.eta) if self.sampler == "ddim" else SAMPLERS[self.sampler]()
        calls = len(schedule_of(config, self.num_steps).timesteps)
        return ddim_edge.start(config, self.num_steps, draw(SHAPE), partial(draw, SHAPE)), calls

    def job(self, threshold: float | None = None) -> ddim_edge.Job:
        sampler, calls = self.started()
        plan = CallPlan(StepCache("deep", self.every, threshold=threshold), calls) if self.every else None
        conditions = _condition(self.label), _condition(NULL_CLASS)
        return ddim_edge.Job(sampler, *conditions, self.scale, guided_timesteps=self.guided, plan=plan)


def _condition(label: int) -> dict[str, Any]:
    return {"class_labels": np.array([label])}


@functools.cache
def alone(kind: Kind) -> Array:
    """The result without engine, denoiser or graph: a plain loop over the formulas."""
    sampler, calls = kind.started()
    whole = whole_calls(StepCache("deep", kind.every), calls) if kind.every else (True,) * calls
    query, kept = next(sampler), dict[int, Array]()
    for is_whole in whole:
        guided = kind.scale != 1 and (kind.guided is None or query.timestep in kind.guided)
        labels = [kind.label, NULL_CLASS] if guided else [kind.label]
        if is_whole or not all(label in kept for label in labels):
            kept = {label: deep_features(query.sample, label) for label in labels}
        own, *null = (shallow_prediction(query.sample, query.timestep, kept[label]) for label in labels)
        prediction = guide(own, null[0], np.array([kind.scale], np.float32)) if guided else own
        try:
            query = sampler.send(prediction)
        except StopIteration as stop:
            return np.asarray(stop.value)
    raise AssertionError("the sampler made more calls than its schedule has")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_deep_bundle(tmp_path_factory.mktemp("deep") / "bundle")


@pytest.fixture
def engine(bundle: Path) -> ddim_edge.Engine:
    return ddim_edge.Engine(_denoiser(bundle))


@functools.cache
def _denoiser(bundle: Path) -> Denoiser:
    whole, shallow = (ddim_edge.Session(bundle / "unet" / name, "cpu") for name in ("model.onnx", "shallow.onnx"))
    return Denoiser(whole, open_shallow=lambda: shallow)


def _steps(engine: ddim_edge.Engine) -> Iterator[tuple[int, int]]:
    """The rows of the calls of every step."""
    while engine.jobs:
        engine.step()
        yield engine.last_rows


def _result(engine: ddim_edge.Engine, job: ddim_edge.Job) -> Array:
    engine.add(job)
    for _ in _steps(engine):
        pass
    return job.result()


MIXED = (
    Kind(num_steps=6, every=0, seed=1),
    Kind(num_steps=7, every=2, eta=1.0, label=1, seed=2),
    Kind(num_steps=5, every=3, eta=0.5, label=2, scale=3.0, seed=3),
    Kind(num_steps=6, every=5, label=2, scale=0.0, seed=4),
)


def test_cached_and_uncached_jobs_share_the_calls_of_each_kind(engine: ddim_edge.Engine) -> None:
    jobs = [kind.job() for kind in MIXED]
    for job in jobs:
        engine.add(job)
    assert list(_steps(engine)) == [(6, 0), (1, 5), (2, 4), (3, 3), (2, 4), (3, 1), (1, 0)]
    for job, kind in zip(jobs, MIXED, strict=True):
        np.testing.assert_allclose(job.result(), alone(kind), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(job.result(), _result(engine, kind.job()))
        assert job.features is None
    assert [(job.calls, job.shallow_calls) for job in jobs] == [(6, 0), (7, 3), (5, 3), (6, 4)]


def test_a_cache_whose_calls_are_all_whole_changes_no_bit(engine: ddim_edge.Engine) -> None:
    for kind in MIXED:
        plain, cached = (Kind(**{**vars(kind), "every": every}) for every in (0, 1))
        np.testing.assert_array_equal(_result(engine, cached.job()), _result(engine, plain.job()))


def test_no_call_of_either_kind_has_more_rows_than_the_limit(bundle: Path) -> None:
    engine = ddim_edge.Engine(_denoiser(bundle), max_rows=3)
    jobs = [Kind(every=every, scale=scale).job() for every in (0, 2, 3) for scale in (1.0, 2.0)]
    for job in jobs:
        engine.add(job)
    steps = list(_steps(engine))
    assert max(max(rows) for rows in steps) == 3
    assert sum(map(sum, steps)) == 6 * 3 * (1 + 2)


def test_the_memory_of_features_is_free_before_new_ones_are_made(
    engine: ddim_edge.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, kept = Kind(every=2).job(), list[bool]()
    engine.add(job)
    working = engine.denoiser.predict_or_step

    def predict_or_step(rows: Sequence[Row]) -> Sequence[Answer]:
        kept.append(job.features is not None)
        return working(rows)

    monkeypatch.setattr(engine.denoiser, "predict_or_step", predict_or_step)
    for _ in _steps(engine):
        pass
    assert kept == [False, True] * 3


def test_a_job_that_becomes_guided_at_a_cached_call_makes_it_whole(engine: ddim_edge.Engine) -> None:
    kind = Kind(num_steps=8, every=4, scale=2.0, guided=TimeInterval(200, 699))  # timesteps 875, 750, 625 … 0
    job = kind.job()
    engine.add(job)
    assert list(_steps(engine)) == [(1, 0), (0, 1), (2, 0), (0, 2), (2, 0), (0, 2), (0, 1), (0, 1)]
    np.testing.assert_allclose(job.result(), alone(kind), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def fractions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that takes any real number as a timestep."""
    return write_deep_bundle(tmp_path_factory.mktemp("fractions") / "bundle", float_timestep=True)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_it_composes_with_every_sampler(fractions: Path, sampler: str) -> None:
    """Also with PNDM's, whose warm-up makes several calls a step: each of them is a call of the cache."""
    engine = ddim_edge.Engine(_denoiser(fractions))
    kind = Kind(num_steps=8, every=3, sampler=sampler, label=1, scale=1.5)
    job = kind.job()
    np.testing.assert_allclose(_result(engine, job), alone(kind), rtol=1e-3, atol=1e-4)
    assert job.shallow_calls == job.calls - -(-job.calls // 3) > 0
    plain, all_whole = (Kind(**{**vars(kind), "every": every}) for every in (0, 1))
    np.testing.assert_array_equal(_result(engine, all_whole.job()), _result(engine, plain.job()))


def test_an_adaptive_cache_is_bound_by_its_threshold(engine: ddim_edge.Engine) -> None:
    shallow = []
    for threshold in (0.0, 0.1, 1000.0):
        job = Kind(num_steps=20, every=4).job(threshold)
        assert np.isfinite(_result(engine, job)).all()
        shallow.append(job.shallow_calls)
    assert shallow[0] == 0 < shallow[1] < shallow[2] == 14  # the first two calls are whole, then every fourth


KINDS = st.builds(
    Kind,
    num_steps=st.integers(2, 6),
    every=st.sampled_from([0, 1, 2]),
    eta=st.sampled_from([0.0, 1.0]),
    scale=st.sampled_from([1.0, 2.5]),
    label=st.integers(0, 2),
    seed=st.integers(0, 3),
)
ACTIONS = st.one_of(KINDS, st.just("step"), st.tuples(st.just("remove"), st.integers(0, 9)))


@settings(max_examples=40, deadline=None)
@given(script=st.lists(ACTIONS, max_size=25), max_rows=st.integers(2, 7))
def test_any_interleaving_gives_each_job_its_own_result(bundle: Path, script: list[Any], max_rows: int) -> None:
    engine = ddim_edge.Engine(_denoiser(bundle), max_rows)
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
    for rows in _steps(engine):
        assert max(rows) <= max_rows
    for job, kind in expected.items():
        np.testing.assert_allclose(job.result(), alone(kind), rtol=1e-4, atol=1e-5)
