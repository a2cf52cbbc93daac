"""What the server counts, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_ROWS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """One registry for one engine, so that two apps in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._depth = Gauge("ddim_edge_queue_depth", "Requests that wait to be begun", registry=self.registry)
        self._rows = Histogram(
            "ddim_edge_batch_rows", "Rows of a network call", ["model"], buckets=_ROWS, registry=self.registry
        )
        self._steps = Histogram(
            "ddim_edge_step_seconds", "Seconds of a network call", ["model"], buckets=_SECONDS, registry=self.registry
        )
        self._images = Counter("ddim_edge_images", "Finished images", ["model"], registry=self.registry)
        self._requests = Histogram(
            "ddim_edge_request_seconds",
            "Seconds of a request, to the end of its answer",
            ["route", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._rejected = Counter("ddim_edge_rejected", "Requests refused", ["reason"], registry=self.registry)

    def watch_queue(self, depth: Callable[[], int]) -> None:
        """Ask ``depth`` for the queue's length whenever somebody wants to know."""
        self._depth.set_function(depth)

    def network_call(self, model: str, rows: int, seconds: float) -> None:
        """Count one network call."""
        self._rows.labels(model).observe(rows)
        self._steps.labels(model).observe(seconds)

    def image(self, model: str) -> None:
        """Count one finished image."""
        self._images.labels(model).inc()

    def request(self, route: str, status: int, seconds: float, reason: str | None) -> None:
        """Count one answer; ``reason`` is the error's code, if it was one."""
        self._requests.labels(route, str(status)).observe(seconds)
        if status >= 400:
            self._rejected.labels(reason or str(status)).inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
