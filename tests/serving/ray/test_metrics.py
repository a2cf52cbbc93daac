"""The server's metrics as metrics of Ray."""

from typing import Any

import pytest

from ddim_edge.generation.requests.step_cache import ImageCalls
from ddim_edge.serving.ray import metrics
from ddim_edge.serving.scheduling.metrics import Metrics


class FakeGauge:
    made: list["FakeGauge"]

    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        assert text
        self.name, self.labels, self.values = name, labels, dict[tuple[str, ...], float]()
        self.made.append(self)

    def set(self, value: float, tags: dict[str, str]) -> None:
        assert tuple(tags) == self.labels
        self.values[tuple(tags.values())] = value


def test_values_of_now_are_copied_under_the_same_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "Gauge", FakeGauge)
    FakeGauge.made = []
    source, running = Metrics(), 3
    source.watch_queue(lambda: 2, lambda: running)
    copies = metrics.RayMetrics(source.registry)
    source.begun("tiny", 0.5)
    source.network_call("tiny", 4, 0.25)
    source.image("tiny", ImageCalls(2, 1))
    copies.copy()
    source.image("tiny", ImageCalls(2, 1))
    source.image("other", ImageCalls(2, 1))
    running = 1
    copies.copy()
    values: dict[str, Any] = {gauge.name: gauge.values for gauge in FakeGauge.made}
    assert len(values) == len(FakeGauge.made)
    assert values["ddim_edge_running_requests"] == {(): 1}
    assert values["ddim_edge_queue_depth"] == {(): 2}
    assert values["ddim_edge_queue_seconds_sum"] == {("tiny",): 0.5}
    assert values["ddim_edge_step_seconds_count"] == {("tiny",): 1}
    assert values["ddim_edge_batch_rows_sum"] == {("tiny",): 4}
    assert values["ddim_edge_images_total"] == {("tiny",): 2, ("other",): 1}
    assert not any(name.endswith(("_bucket", "_created")) for name in values)
