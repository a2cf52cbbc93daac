"""Who runs, whose turn it is, and what becomes of models: turns are taken by hand, without a thread."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import ddim_edge
from ddim_edge.errors import BundleError, DeviceMemoryError, PredictionError
from ddim_edge.serving.errors import Cancelled, DeadlinePassed
from ddim_edge.serving.scheduling.loaded_model import LoadedModel
from ddim_edge.serving.scheduling.submission import Ended, ImageDone, Partial, partial_calls
from tests.helpers.tiny_bundles import tiny_model, write_bundle
from tests.serving.scheduling.desk import Desk


def test_different_requests_share_calls(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle)
    desk.ask(labels=["cat"], num_steps=4)
    desk.ask(labels=["dog"], num_steps=2, sampler="dpmpp-2m", guidance_scale=2.0)
    desk.turn(4)
    assert desk.rows == [1, 3, 3, 1]


def test_a_request_that_comes_later_and_is_shorter_ends_sooner(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle)
    long = desk.ask(labels=["cat"], num_steps=20)
    desk.turn(3)
    short = desk.ask(labels=["dog"], num_steps=5)
    desk.turn(6)
    assert (short.submission.state, long.submission.state) == ("done", "running")


def test_ten_images_do_not_starve_one(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle, max_rows=4)
    many = desk.ask(num_images=10, num_steps=5)
    desk.turn(3)
    one = desk.ask(num_images=1, num_steps=3)
    desk.turn(3)
    assert one.submission.state == "done"
    assert [type(event) for event in one.heard] == [ImageDone, Ended]
    assert many.submission.state == "running"
    assert desk.rows[-3:] == [4, 4, 4]


wishes = st.fixed_dictionaries(
    {
        "num_images": st.integers(1, 5),
        "num_steps": st.integers(4, 8),
        "guidance_scale": st.sampled_from([1.0, 2.0]),
        "sampler": st.sampled_from(["ddim", "ddpm", "pndm", "euler", "euler-a", "dpmpp-2m", "unipc"]),
        "seed": st.integers(0, 50),
        "labels": st.lists(st.sampled_from(["cat", "dog"]), min_size=1, max_size=2),
    }
)


@settings(max_examples=25, deadline=None)
@given(asked=st.lists(st.tuples(wishes, st.integers(0, 3)), min_size=1, max_size=6), max_rows=st.integers(1, 7))
def test_whatever_comes_in_whatever_company_all_get_their_own_images(
    tiny_bundle: Path, asked: list[tuple[dict[str, Any], int]], max_rows: int
) -> None:
    desk, all_asked = Desk(tiny_bundle, max_rows=max_rows), []
    for options, turns in asked:
        all_asked.append(desk.ask(**options))
        desk.turn(turns)
    while desk.scheduler.submissions():
        desk.turn()
    assert all(rows <= max(2, max_rows) for rows in desk.rows)
    alone = ddim_edge.load(tiny_bundle, "cpu")
    for (options, _), each in zip(asked, all_asked, strict=True):
        np.testing.assert_array_equal(each.images, alone.generate(**options).images)


def test_cancelled_and_late_ones_stop_before_the_next_call(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle)
    first = desk.ask(num_images=2, num_steps=9)
    second = desk.ask(num_steps=9, deadline=5)
    desk.turn(3)
    first.submission.cancelled = True
    desk.turn()
    assert isinstance(first.error, Cancelled)
    assert (first.submission.state, first.submission.calls) == ("cancelled", 5)
    desk.now = 5
    desk.turn()
    assert isinstance(second.error, DeadlinePassed)
    assert (second.submission.state, second.submission.calls) == ("failed", 4)
    assert desk.rows == [2, 3, 3, 1]
    assert not desk.scheduler.submissions()


def test_a_network_that_returns_nan_fails_its_request_alone(tmp_path: Path) -> None:
    desk = Desk(write_bundle(tmp_path / "ill", tiny_model(nan_at=(500, 2))))
    well = desk.ask("ill", labels=[1], num_steps=4)
    ill = desk.ask("ill", labels=[2], num_steps=4)
    desk.turn(4)
    assert well.error is None
    assert isinstance(ill.error, PredictionError)
    assert "unet returned NaN" in str(ill.error)


def test_a_network_that_fails_fails_what_runs_and_not_what_comes(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle)
    denoiser = desk.loaded_model().engine.denoiser
    working = denoiser.predict_or_step
    one, other = desk.ask(num_steps=3), desk.ask(num_steps=3)
    denoiser.predict_or_step = _raising(RuntimeError("the device is gone"))  # type: ignore[method-assign]
    desk.turn()
    denoiser.predict_or_step = working  # type: ignore[method-assign]
    later = desk.ask(num_steps=3)
    desk.turn(3)
    assert "the device is gone" in str(one.error)
    assert "the device is gone" in str(other.error)
    assert later.error is None


def test_a_call_that_memory_does_not_hold_is_made_again_with_fewer_rows(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle, max_rows=16)
    denoiser = desk.loaded_model().engine.denoiser
    working, tried = denoiser.predict_or_step, list[int]()

    def predict(rows: Any) -> Any:
        tried.append(len(rows))
        if len(rows) > 5:
            raise DeviceMemoryError("unet failed on cpu: bad_alloc")
        return working(rows)

    denoiser.predict_or_step = predict  # type: ignore[method-assign]
    asked = desk.ask(num_images=12, num_steps=4, seed=3)
    while desk.scheduler.submissions():
        desk.turn()
    assert asked.error is None
    assert tried[:5] == [2, 4, 8, 4, 4]
    assert max(tried[3:]) == 4
    np.testing.assert_array_equal(
        asked.images, ddim_edge.load(tiny_bundle, "cpu").generate(num_images=12, num_steps=4, seed=3).images
    )


def test_a_call_of_one_row_that_memory_does_not_hold_fails(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle)
    desk.loaded_model().engine.denoiser.predict_or_step = _raising(DeviceMemoryError("unet: bad_alloc"))  # type: ignore[method-assign]
    asked = desk.ask(num_images=2, num_steps=3)
    desk.turn(2)
    assert isinstance(asked.error, DeviceMemoryError)


def _raising(error: Exception) -> Callable[..., Any]:
    def raising(*_: object) -> Any:
        raise error

    return raising


def opened(desk: Desk, name: str) -> None:
    """Wait until the thread beside has opened a model."""
    opening: dict[str, Future[LoadedModel]] = desk.loaded_models._loading
    opening[name].exception(timeout=30)


def test_models_run_side_by_side_and_the_least_recently_used_one_leaves(tmp_path: Path) -> None:
    desk = Desk(*(write_bundle(tmp_path / name) for name in ("a", "b", "c")), max_models=2)
    assert list(desk.loaded_models._loaded) == ["a", "b"]
    desk.ask("a", num_steps=2)
    desk.ask("b", num_steps=1)
    desk.turn()
    assert desk.calls == [("a", 1), ("b", 1)]
    third = desk.ask("c", num_steps=1)
    desk.turn()  # a runs, so b leaves
    assert desk.loaded_models.is_loading("c")
    assert desk.calls == [("a", 1), ("b", 1), ("a", 1)]
    opened(desk, "c")
    desk.turn()
    assert third.error is None
    assert list(desk.loaded_models._loaded) == ["a", "c"]


def test_where_all_models_are_busy_the_next_waits_and_holds_up_what_comes_after(tmp_path: Path) -> None:
    desk = Desk(*(write_bundle(tmp_path / name) for name in ("a", "b")), max_models=1)
    desk.ask("a", num_steps=2)
    desk.turn()
    waits, behind = desk.ask("b", num_steps=1), desk.ask("a", num_steps=1)
    desk.turn()
    assert (waits.submission.state, behind.submission.state) == ("queued", "queued")
    desk.turn()
    assert desk.loaded_models.is_loading("b")
    opened(desk, "b")
    desk.turn(1)
    assert waits.error is None


def test_who_waits_for_a_model_that_is_being_opened_holds_nobody_up(tmp_path: Path) -> None:
    desk = Desk(*(write_bundle(tmp_path / name) for name in ("a", "b")), max_models=2)
    del desk.loaded_models._loaded["b"]
    desk.ask("b", num_steps=1)
    quick = desk.ask("a", num_steps=1)
    desk.turn()
    assert quick.error is None
    opened(desk, "b")
    assert not desk.scheduler.submissions() or desk.scheduler.is_idle


def test_a_model_that_cannot_be_opened_fails_its_request_and_may_be_tried_again(tmp_path: Path) -> None:
    good, bad = (write_bundle(tmp_path / name) for name in ("good", "bad"))
    desk = Desk(good, bad, max_models=1)
    graph = bad / "unet" / "model.onnx"
    contents = graph.read_bytes()
    graph.write_bytes(contents[:100])
    first = desk.ask("bad", num_steps=1)
    desk.turn()
    opened(desk, "bad")
    desk.turn()
    assert isinstance(first.error, BundleError)
    graph.write_bytes(contents)
    second = desk.ask("bad", num_steps=1)
    desk.turn()
    opened(desk, "bad")
    desk.turn()
    assert second.error is None


def test_partial_images_come_evenly_and_are_the_estimates(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle)
    asked = desk.ask(num_steps=8, partials=3, num_images=2)
    desk.turn(8)
    partials = [event for event in asked.heard if isinstance(event, Partial)]
    assert [(event.index, event.calls) for event in partials] == [(0, 2), (1, 2), (0, 4), (1, 4), (0, 6), (1, 6)]
    assert [type(event) for event in asked.heard[-3:]] == [ImageDone, ImageDone, Ended]


@given(calls=st.integers(1, 1000), count=st.integers(0, 3))
def test_partial_calls_lie_within_the_run(calls: int, count: int) -> None:
    shown = partial_calls(calls, count)
    assert len(shown) <= count
    assert all(0 < call < calls for call in shown)
    assert len(shown) == count or calls <= count + 1
