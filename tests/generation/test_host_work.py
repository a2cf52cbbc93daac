"""What Python does for a step and for a request, counted in function calls: time depends on the machine."""

import sys
from pathlib import Path
from typing import Any

import pytest

import ddim_edge
from ddim_edge.graphs.same_files import SameFiles
from ddim_edge.runtime.sessions import session


def _calls(pipeline: ddim_edge.Pipeline, options: dict[str, Any]) -> int:
    """The calls of Python functions in one run."""
    counted = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        pipeline.generate(**options)
    finally:
        sys.setprofile(None)
    return counted


@pytest.mark.parametrize(
    ("options", "a_step", "a_request"),
    [
        ({"sampler": "ddim"}, 60, 700),
        ({"sampler": "ddim", "guidance_scale": 2.0}, 66, 700),
        ({"sampler": "dpmpp-2m"}, 56, 700),
    ],
)
def test_a_step_and_a_request_take_few_calls(
    tiny_bundle: Path, options: dict[str, Any], a_step: int, a_request: int
) -> None:
    pipeline = ddim_edge.load(tiny_bundle, "cpu")
    taken = {}
    for steps in (10, 30):
        run = {**options, "num_steps": steps, "labels": ["cat"]}
        pipeline.generate(**run)  # fills the caches of schedules
        taken[steps] = _calls(pipeline, run)
    per_step = (taken[30] - taken[10]) / 20
    assert per_step <= a_step
    assert taken[10] - 10 * per_step <= a_request


def test_files_are_not_looked_at_in_every_step(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = ddim_edge.load(tiny_bundle, "cpu")
    pipeline.generate(num_steps=1, labels=["cat"])
    looked: list[object] = []
    monkeypatch.setattr(session, "_FILE_CHECK_S", 3600.0)
    monkeypatch.setattr(SameFiles, "check_not_overwritten", lambda _files, paths=None: looked.append(paths))
    pipeline.generate(num_steps=20, labels=["cat"])
    assert len(looked) == 1  # when the image was completed
