"""The figures of a benchmark: medians, 95th percentiles, shares."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ddim_edge.benchmark.statistics import figures, spread


@pytest.mark.parametrize("count", [1, 2, 3, 19, 20, 21, 100])
def test_median_and_95th_percentile_are_numpys(count: int) -> None:
    values = np.random.default_rng(count).exponential(size=count).tolist()
    assert spread(values) == pytest.approx({"median": np.median(values), "p95": np.percentile(values, 95)})


def taken(image: float, steps: Sequence[float], calls: Sequence[float] | None, **others: Any) -> dict[str, Any]:
    usual = {"prepare": 0.5, "finish": None, "gpu_memory": None, "peak_memory": 7}
    return {"image": image, "steps": list(steps), "calls": calls, **usual, **others}


def test_figures_of_rounds() -> None:
    found = figures([taken(2, [0.1, 0.3], [0.1, 0.2]), taken(4, [0.4], [0.1], prepare=1.5, peak_memory=9)], batch=6)
    assert found["step"]["median"] == 0.3
    assert (found["image"]["median"], found["images_per_second"]) == (3, 2)
    assert found["idle_share"] == pytest.approx(0.5)
    assert (found["prepare"]["median"], found["finish"]) == (1, None)
    assert (found["gpu_memory"], found["peak_memory"]) == (None, 9)
    assert figures([taken(2, [0.1], None)], batch=1)["idle_share"] is None
