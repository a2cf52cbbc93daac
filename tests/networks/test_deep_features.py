"""Whole and shallow rows in one step: each is predicted from its own features, which are copied only where needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ddim_edge
from ddim_edge.diffusion.samplers.query import Guided, Stepped
from ddim_edge.networks.denoiser import Answer, Denoiser, Kept
from ddim_edge.networks.features import Features, FeatureStack, KeptRow, kept_rows
from ddim_edge.networks.row import Row
from ddim_edge.runtime.sessions.device_buffers import DeviceArray
from ddim_edge.runtime.sessions.fp16_check import PrecisionWarning
from ddim_edge.runtime.sessions.session import Session
from tests.helpers.deep_bundles import deep_features, deep_model, shallow_prediction, write_deep_bundle
from tests.helpers.tiny_bundles import NULL_CLASS, Array, tiny_model

LABELS = [{"class_labels": np.array([label])} for label in range(3)]
NULL = {"class_labels": np.array([NULL_CLASS])}
FORMS: list[dict[str, Any]] = [{}, {"batch": 3}, {"scalar_timestep": True}]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [write_deep_bundle(tmp_path_factory.mktemp("deep") / "tiny", **form) for form in FORMS]


def denoiser_of(folder: Path, *, bound: bool = False, static: bool = False) -> Denoiser:
    def opened(name: str) -> Session:
        session = Session(folder / "unet" / name, "cpu", bound=bound)
        session.static_shapes = static
        return session

    return Denoiser(opened("model.onnx"), open_shallow=lambda: opened("shallow.onnx"))


def wanted(row: Row, label: int, kept: tuple[Array, Array | None] | None) -> Array:
    """What the row's call must return, by hand; ``kept``: the features of a shallow one."""
    own = kept[0] if kept else deep_features(row.sample, label)
    prediction = shallow_prediction(row.sample, row.timestep, own)
    if row.unconditional is None:
        return prediction
    other = kept[1] if kept and kept[1] is not None else deep_features(row.sample, NULL_CLASS)
    null = shallow_prediction(row.sample, row.timestep, other)
    return null + np.float32(row.guidance_scale) * (prediction - null)


def prediction_of(answer: Answer) -> Array:
    assert not isinstance(answer, Stepped)
    prediction = answer.prediction if isinstance(answer, Kept) else answer
    assert not isinstance(prediction, Guided)
    return prediction


KINDS = st.tuples(st.integers(0, 2), st.sampled_from([1.0, 2.0]), st.booleans())
"""A row's class, guidance scale, and whether it uses the shallow graph at times."""


@settings(deadline=None, max_examples=25)
@given(
    kinds=st.lists(KINDS, min_size=1, max_size=4),
    shallow=st.lists(st.sets(st.integers(0, 3)), min_size=1, max_size=6),
    which=st.integers(0, 2),
    most_rows=st.sampled_from([None, 1, 2]),
    bound=st.booleans(),
    static=st.booleans(),
)
def test_every_row_is_predicted_from_its_own_features(
    folders: list[Path],
    kinds: list[tuple[int, float, bool]],
    shallow: list[set[int]],
    which: int,
    most_rows: int | None,
    bound: bool,
    static: bool,
) -> None:
    denoiser, random = denoiser_of(folders[which], bound=bound, static=static), np.random.default_rng(0)
    denoiser.most_rows = most_rows
    kept: list[Features | None] = [None] * len(kinds)
    by_hand: list[tuple[Array, Array | None] | None] = [None] * len(kinds)
    for step, positions in enumerate(shallow):
        rows = []
        for at, (label, scale, caches) in enumerate(kinds):
            sample = random.standard_normal((1, 1, 8, 8)).astype(np.float32)
            row = Row(sample, 900 - step, LABELS[label], NULL if scale != 1 else None, scale)
            is_whole = at not in positions or kept[at] is None
            rows.append(row._replace(features=None if is_whole else kept[at], keeps_features=is_whole and caches))
        for at, (row, answer) in enumerate(zip(rows, denoiser.predict_or_step(rows), strict=True)):
            label = kinds[at][0]
            found = prediction_of(answer)
            np.testing.assert_allclose(
                found, wanted(row, label, by_hand[at] if row.features else None), rtol=1e-5, atol=1e-5
            )
            assert isinstance(answer, Kept) == row.keeps_features
            if isinstance(answer, Kept):
                kept[at] = answer.features
                other = None if row.unconditional is None else deep_features(row.sample, NULL_CLASS)
                by_hand[at] = deep_features(row.sample, label), other


def whole_rows(count: int, *, keeping: int | None = None) -> list[Row]:
    samples = np.random.default_rng(0).standard_normal((count, 1, 1, 8, 8)).astype(np.float32)
    return [
        Row(sample, 9, LABELS[0], NULL, 2.0, keeps_features=keeping is None or at < keeping)
        for at, sample in enumerate(samples)
    ]


def features_of(answers: object) -> list[Features]:
    assert isinstance(answers, list)
    return [answer.features for answer in answers if isinstance(answer, Kept)]


def test_the_features_of_images_that_run_together_are_not_copied(folders: list[Path]) -> None:
    denoiser = denoiser_of(folders[0])
    kept = features_of(denoiser.predict_or_step(whole_rows(2)))
    entries = [features[position] for position in (0, 1) for features in kept]
    stack = FeatureStack()
    assert stack.joined(entries, 4) is entries[0].call
    assert np.shares_memory(np.asarray(stack.joined(entries[:2], 2)), np.asarray(entries[0].call))


def test_features_that_are_not_kept_take_no_memory(folders: list[Path]) -> None:
    kept = features_of(denoiser_of(folders[0]).predict_or_step(whole_rows(4, keeping=1)))
    assert [features[0].call.shape for features in kept] == [(2, 2, 8, 8)]
    assert sum(own.nbytes for own in kept[0]) == 2 * 2 * 8 * 8 * 4
    whole = np.zeros((3, 2, 8, 8), np.float32)
    assert kept_rows(whole, [False, False]) == [None, None]
    assert kept_rows(whole, [True, True]) == [KeptRow(whole, 0), KeptRow(whole, 1)]  # the third row is padding


def test_features_stay_on_the_device(folders: list[Path]) -> None:
    opened: list[Session] = []
    whole = Session(folders[0] / "unet" / "model.onnx", "cpu", bound=True)

    def open_shallow() -> Session:
        opened.append(Session(folders[0] / "unet" / "shallow.onnx", "cpu", bound=True))
        return opened[0]

    denoiser, rows = Denoiser(whole, open_shallow=open_shallow), whole_rows(2)
    for turn in range(6):
        kept = features_of(denoiser.predict_or_step(rows))
        assert isinstance(kept[0][0].call, DeviceArray) == (turn > 0)  # a shape's first call has no buffers
        for _ in range(3):
            denoiser.predict_or_step(
                [row._replace(features=each, keeps_features=False) for row, each in zip(rows, kept, strict=True)]
            )
        del kept
    assert opened[0].device_buffers is not None
    assert (
        opened[0].device_buffers.uploads["deep_features"] == 2
    )  # of the first whole call: its first use is unbuffered
    assert opened[0].device_buffers.uploads["sample"] == 17


def test_the_shallow_graph_is_opened_once_when_it_is_needed(folders: list[Path]) -> None:
    opened: list[Path] = []

    def open_shallow() -> Session:
        opened.append(folders[0] / "unet" / "shallow.onnx")
        return Session(opened[-1], "cpu")

    denoiser = Denoiser(Session(folders[0] / "unet" / "model.onnx", "cpu"), open_shallow=open_shallow)
    denoiser.predict_or_step(whole_rows(2, keeping=0))
    assert not opened
    denoiser.prepare_shallow()
    denoiser.prepare_shallow()
    assert len(opened) == 1


def test_a_bundle_without_the_graph_names_the_option_that_makes_it(new_bundle: Callable[..., Path]) -> None:
    graph = new_bundle() / "unet" / "model.onnx"
    with pytest.raises(ddim_edge.BundleError, match="no shallow graph: export the model with --step-cache"):
        Denoiser(Session(graph, "cpu")).prepare_shallow()
    with pytest.raises(ddim_edge.BundleError, match="does not return deep_features: export it with --step-cache again"):
        Denoiser(Session(graph, "cpu")).predict_or_step(whole_rows(1))


def test_a_shallow_graph_of_another_network_is_refused(new_bundle: Callable[..., Path], folders: list[Path]) -> None:
    whole, other = folders[0] / "unet" / "model.onnx", new_bundle(tiny_model(classes=False)) / "unet" / "model.onnx"
    denoiser = Denoiser(Session(whole, "cpu"), open_shallow=lambda: Session(other, "cpu"))
    with pytest.raises(ddim_edge.BundleError, match="shallow graph takes sample, timestep, and the unet returns"):
        denoiser.prepare_shallow()


def test_fp16_is_checked_in_both_graphs(tmp_path: Path) -> None:
    """The fp32 form of the whole network is none of the shallow graph's."""
    folder = write_deep_bundle(tmp_path / "half", half=True)
    onnx.save_model(deep_model(shallow=False), folder / "unet" / "model.fp32.onnx")
    denoiser = denoiser_of(folder)
    kept = features_of(denoiser.predict_or_step(whole_rows(1)))[0]
    assert kept[0].call.dtype == np.float16
    shallow = whole_rows(1, keeping=0)[0]._replace(features=kept, unconditional=None)
    assert np.isfinite(prediction_of(denoiser.predict_or_step([shallow])[0])).all()
    endless = tuple(KeptRow(np.full((2, 2, 8, 8), np.inf, np.float16), at) for at in range(2))
    with pytest.raises(ddim_edge.PredictionError, match="NaN or infinity in fp16"):
        denoiser.predict_or_step([shallow._replace(features=endless)])
    denoiser.mark_fp16_checked()
    assert not denoiser.session.needs_fp16_check
    assert not np.isfinite(prediction_of(denoiser.predict_or_step([shallow._replace(features=endless)])[0])).any()


def test_where_fp16_fails_the_whole_calls_keep_the_features_of_the_fp32_form(tmp_path: Path) -> None:
    folder = write_deep_bundle(tmp_path / "half", half=True)
    onnx.save_model(deep_model(shallow=False), folder / "unet" / "model.fp32.onnx")
    denoiser, row = denoiser_of(folder), whole_rows(1)[0]
    with np.errstate(over="ignore"), pytest.warns(PrecisionWarning, match="unet returned NaN or infinity in fp16"):
        kept = features_of(denoiser.predict_or_step([row._replace(sample=row.sample + np.float32(1e6))]))[0]
    assert kept[0].call.dtype == np.float32
    kept = features_of(denoiser.predict_or_step([row]))[0]
    found = prediction_of(denoiser.predict_or_step([row._replace(features=kept, keeps_features=False)])[0])
    by_hand = deep_features(row.sample, 0), deep_features(row.sample, NULL_CLASS)
    np.testing.assert_allclose(found, wanted(row, 0, by_hand), atol=2e-2)
