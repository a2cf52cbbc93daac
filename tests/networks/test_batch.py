"""Arrays that are kept from step to step: no result that was handed out changes, and every call sees its own rows."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddim_edge.arrays import Array
from ddim_edge.networks.denoiser import Denoiser
from ddim_edge.networks.row import Row
from ddim_edge.runtime.sessions.session import Feed, Session
from tests.helpers.tiny_bundles import NULL_CLASS, tiny_model, tiny_prediction, write_bundle

LABELS = [{"class_labels": np.array([label])} for label in range(3)]
NULL = {"class_labels": np.array([NULL_CLASS])}


class RememberingSession(Session):
    """Keeps the arrays that it was fed, and what it returned together with a copy of it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "cpu")
        self.fed: list[Mapping[str, Feed]] = []
        self.returned: list[tuple[Array, Array]] = []

    def run(self, feeds: Mapping[str, Feed], outputs: Sequence[str] | None = None) -> dict[str, Array]:
        self.fed.append(feeds)
        results = super().run(feeds, outputs)
        self.returned += [(array, array.copy()) for array in results.values()]
        return results


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    models = [tiny_model(), tiny_model(batch=3), tiny_model(scalar_timestep=True)]
    folders = [write_bundle(tmp_path_factory.mktemp("batch") / "tiny", model) for model in models]
    return [folder / "unet" / "model.onnx" for folder in folders]


def wanted(row: Row) -> Array:
    label = int(row.conditioning["class_labels"][0])
    conditional = tiny_prediction(row.sample, row.timestep, label)
    if row.unconditional is None:
        return conditional
    null = tiny_prediction(row.sample, row.timestep, NULL_CLASS)
    return null + np.float32(row.guidance_scale) * (conditional - null)


KINDS = st.tuples(st.integers(0, 2), st.sampled_from([1.0, 2.0, 3.5]))
CALLS = st.lists(st.lists(KINDS, min_size=1, max_size=4), min_size=2, max_size=6)


@settings(deadline=None, max_examples=60)
@given(calls=CALLS, steps=st.integers(1, 3), which=st.integers(0, 2), most_rows=st.sampled_from([None, 1, 2]))
def test_no_result_changes_and_every_call_sees_its_own_rows(
    graphs: list[Path], calls: list[list[tuple[int, float]]], steps: int, which: int, most_rows: int | None
) -> None:
    session, random = RememberingSession(graphs[which]), np.random.default_rng(0)
    denoiser, timestep = Denoiser(session), 0
    results: list[tuple[Array, Array]] = []
    for kinds in calls:
        denoiser.most_rows = most_rows
        for _ in range(steps):
            timestep += 7
            samples = random.standard_normal((len(kinds), 1, 1, 8, 8)).astype(np.float32)
            rows = [
                Row(sample, timestep, LABELS[label], NULL if scale != 1 else None, scale)
                for sample, (label, scale) in zip(samples, kinds, strict=True)
            ]
            found = denoiser.predict(rows)
            np.testing.assert_allclose(found, np.concatenate([wanted(row) for row in rows]), rtol=1e-5, atol=1e-5)
            results.append((found, found.copy()))
    for array, copy in results:  # only now: no later call may have written to it
        np.testing.assert_array_equal(array, copy)


def test_a_request_s_arrays_are_made_once(new_bundle: Callable[..., Path]) -> None:
    session = RememberingSession(new_bundle() / "unet" / "model.onnx")
    denoiser, random = Denoiser(session), np.random.default_rng(0)
    for step in range(4):
        sample = random.standard_normal((1, 1, 8, 8)).astype(np.float32)
        denoiser.predict([Row(sample, 100 - step, LABELS[1], NULL, 2.0)])
        fed = session.fed[-1]
        np.testing.assert_array_equal(np.asarray(fed["sample"]), np.concatenate([sample, sample]))
        np.testing.assert_array_equal(np.asarray(fed["timestep"]), [100 - step] * 2)
    for name in session.inputs:
        assert all(fed[name] is session.fed[0][name] for fed in session.fed), name
    assert all((array == copy).all() for array, copy in session.returned[:-1])
