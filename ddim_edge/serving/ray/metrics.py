"""The server's Prometheus metrics as metrics of Ray, whose endpoint on each node has those of all replicas."""

from typing import Any

from prometheus_client import CollectorRegistry
from ray.serve.metrics import Gauge

_LEFT_OUT = ("_bucket", "_created")


class RayMetrics:
    """Copies of the metrics in ``registry``, named as there; Ray puts ``ray_`` before, and adds the replica's tags.

    All are gauges, because Ray's counters take differences. Sums and counts of histograms are copied, buckets are not.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._gauges: dict[str, Any] = {}

    def copy(self) -> None:
        """Set Ray's metrics to the values of now."""
        for family in self._registry.collect():
            for sample in family.samples:
                if not sample.name.endswith(_LEFT_OUT):
                    gauge = self._gauge(sample.name, family.documentation, tuple(sample.labels))
                    gauge.set(sample.value, dict(sample.labels))

    def _gauge(self, name: str, text: str, labels: Any) -> Any:
        if name not in self._gauges:
            self._gauges[name] = Gauge(name, text, labels)
        return self._gauges[name]
