"""Prometheus metrics of the server."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ...generation.requests.step_cache import ImageCalls

_ROWS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The metrics of one engine, in a registry of its own: two apps in one process stay separate."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._depth = Gauge("ddim_edge_queue_depth", "Requests waiting in the queue", registry=self.registry)
        self._running = Gauge("ddim_edge_running_requests", "Requests that have begun", registry=self.registry)
        self._queued = Histogram(
            "ddim_edge_queue_seconds",
            "Seconds from the queue to the first step",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._rows = Histogram(
            "ddim_edge_batch_rows", "Rows of a network call", ["model"], buckets=_ROWS, registry=self.registry
        )
        self._steps = Histogram(
            "ddim_edge_step_seconds", "Seconds of a network call", ["model"], buckets=_SECONDS, registry=self.registry
        )
        self._shallow_steps = Histogram(
            "ddim_edge_shallow_step_seconds",
            "Seconds of a call of the shallow graph, with a deep cache",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._images = Counter("ddim_edge_images", "Finished images", ["model"], registry=self.registry)
        self._calls = Counter(
            "ddim_edge_image_calls",
            "Calls of finished images, of the whole network, or answered by a step cache",
            ["model", "kind"],
            registry=self.registry,
        )
        self._requests = Histogram(
            "ddim_edge_request_seconds",
            "Seconds of a request, to the end of its response",
            ["route", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._rejected = Counter(
            "ddim_edge_rejected",
            "Requests, streams and jobs that ended in an error",
            ["reason"],
            registry=self.registry,
        )
        self._jobs = Counter("ddim_edge_jobs", "Ended jobs", ["model", "status"], registry=self.registry)
        self._cached = Counter(
            "ddim_edge_result_cache",
            "Requests that the cache of results has answered, or has not",
            ["result"],
            registry=self.registry,
        )

    def watch_queue(self, depth: Callable[[], int], running: Callable[[], int]) -> None:
        """Call ``depth`` and ``running`` for the numbers of requests each time that the metrics are read."""
        self._depth.set_function(depth)
        self._running.set_function(running)

    def watch_cache(self, size: Callable[[], int]) -> None:
        """Call ``size`` for the bytes of the cache of results each time that the metrics are read."""
        gauge = Gauge("ddim_edge_result_cache_bytes", "Bytes in the cache of results", registry=self.registry)
        gauge.set_function(size)

    def begun(self, model: str, seconds: float) -> None:
        """Count one request that has begun after ``seconds`` in the queue."""
        self._queued.labels(model).observe(seconds)

    def network_call(self, model: str, rows: int, seconds: float, *, shallow: bool = False) -> None:
        """Count one network call, of the UNet or of its shallow graph."""
        if shallow:
            self._shallow_steps.labels(model).observe(seconds)
            return
        self._rows.labels(model).observe(rows)
        self._steps.labels(model).observe(seconds)

    def image(self, model: str, calls: ImageCalls) -> None:
        """Count one finished image, and its calls."""
        self._images.labels(model).inc()
        for kind, count in calls._asdict().items():
            self._calls.labels(model, kind).inc(count)

    def request(self, route: str, status: int, seconds: float, reason: str | None) -> None:
        """Count one response; ``reason`` is the error code of an error response, or of a stream's last event."""
        self._requests.labels(route, str(status)).observe(seconds)
        if status >= 400 or reason is not None:
            self._rejected.labels(reason or str(status)).inc()

    def job(self, model: str, status: str, reason: str | None) -> None:
        """Count one ended job; ``reason`` is the code of its error."""
        self._jobs.labels(model, status).inc()
        if reason is not None:
            self._rejected.labels(reason).inc()

    def cache(self, *, hit: bool) -> None:
        """Count one request that the cache of results has answered, or has not."""
        self._cached.labels("hit" if hit else "miss").inc()

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
