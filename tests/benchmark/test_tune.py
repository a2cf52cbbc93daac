"""Tune: each setting makes the images that it makes alone; the distance, the time and the choice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.arrays import Sample
from ddim_edge.benchmark.tune import OFF, Measured, Setting, fastest, measure
from ddim_edge.generation.pipeline import Pipeline

OPTIONS: dict[str, Any] = {
    "labels": ["cat", "dog"],
    "num_images": 3,
    "num_steps": 12,
    "sampler": "ddim",
    "batch_size": 2,
}


def test_every_setting_is_measured_against_none(deep_bundle: Path) -> None:
    pipeline = ddim_edge.load(deep_bundle, "cpu")
    told: list[str] = []
    rows = measure(pipeline, dict(OPTIONS), told.append)
    assert len(told) == 2 * len(rows), "two batches, all settings in turn"
    assert [row.setting.cache for row in rows] == [
        None,
        "forecast:2",
        "forecast:3",
        "forecast:5",
        "forecast:5",
        "deep:2",
        "deep:3",
        "deep:5",
        "deep:5",
    ]
    off, by_name = rows[0], {row.setting.name: row for row in rows}
    assert (off.setting, off.whole, off.cached, off.distance, off.psnr) == (OFF, 12, 0, 0.0, None)
    deep = by_name["deep:3"]
    assert (deep.whole, deep.cached) == (4, 8)
    assert deep.distance > 0
    made = pipeline.generate(**OPTIONS, cache="deep:3")
    np.testing.assert_array_equal(deep.images, made.images)
    assert all(row.whole + row.cached == 12 for row in rows)
    assert by_name["forecast:3"].seconds < off.seconds, "fewer calls, and no others"


def test_the_distance_is_that_of_the_worst_image(tiny_bundle: Path) -> None:
    pipeline = ddim_edge.load(tiny_bundle, "cpu")
    samples = [_samples(pipeline, cache) for cache in ("off", "forecast:3")]
    exact, cached = (array.astype(np.float64) for array in samples)
    shares = np.sqrt(((cached - exact) ** 2).mean(axis=(1, 2, 3)) / (exact**2).mean(axis=(1, 2, 3)))
    row = next(row for row in measure(pipeline, dict(OPTIONS), lambda _: None) if row.setting.cache == "forecast:3")
    assert row.distance == pytest.approx(shares.max())
    assert shares.max() > shares.mean()


def _samples(pipeline: Pipeline, cache: str) -> Sample:
    request = pipeline.request(**OPTIONS, cache=cache)
    ends = [progress for progress in pipeline.run(request) if progress.images is not None]
    return np.concatenate([job.result() for end in ends for job in end.jobs])


def test_a_model_without_a_shallow_graph_has_forecasts_alone(tiny_bundle: Path) -> None:
    rows = measure(ddim_edge.load(tiny_bundle, "cpu"), {**OPTIONS, "num_steps": 4}, lambda _: None)
    assert [row.setting.cache for row in rows] == [None, "forecast:2", "forecast:3"], "5 is above the calls"


def test_no_candidate_is_an_error(tiny_bundle: Path) -> None:
    with pytest.raises(ddim_edge.ConfigError, match="no cache is possible with so few steps"):
        measure(ddim_edge.load(tiny_bundle, "cpu"), {**OPTIONS, "num_steps": 1}, lambda _: None)


@pytest.mark.parametrize(("most", "name"), [(0.5, "deep:5"), (0.3, "forecast:3"), (0.0, None)])
def test_the_fastest_within_the_distance_is_chosen(most: float, name: str | None) -> None:
    rows = [_row(OFF, 1.0, 0.0), _row(Setting("forecast:3"), 0.4, 0.3), _row(Setting("deep:5"), 0.2, 0.31)]
    best = fastest([*rows, _row(Setting("deep:2"), 1.1, 0.0)], most)
    assert (best.setting.name if best else None) == name


def _row(setting: Setting, seconds: float, distance: float) -> Measured:
    return Measured(setting, 1, 1, seconds, distance, None, np.zeros((1, 2, 2, 1), np.uint8))
