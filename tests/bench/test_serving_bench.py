"""The server's bench: its trace and its figures."""

import itertools
import json
import statistics

import pytest

from bench.serving import summary
from bench.serving.client import Outcome
from bench.serving.overhead import Count, count_of
from bench.serving.trace import MOST_IMAGES, STEPS, Ask, mixed_row_calls, trace
from ddim_edge.serving.scheduling.metrics import Metrics
from tests.serving.soak.run import rss_growth


def test_a_trace_is_a_poisson_process_of_the_mix() -> None:
    asks = trace(20_000)
    assert asks == trace(20_000)
    assert asks != trace(20_000, seed=1)
    gaps = [later.at - sooner.at for sooner, later in itertools.pairwise(asks)]
    assert min(gaps) > 0
    assert statistics.mean(gaps) == pytest.approx(1, abs=0.03)
    assert statistics.stdev(gaps) == pytest.approx(1, abs=0.05)  # an exponential's deviation is its mean
    assert {ask.steps for ask in asks} == set(STEPS)
    assert {ask.images for ask in asks} == set(range(1, MOST_IMAGES + 1))
    assert statistics.mean(ask.row_calls for ask in asks) == pytest.approx(mixed_row_calls(), rel=0.03)


def test_no_two_requests_of_a_trace_make_the_same_images() -> None:
    assert len({ask.seed for ask in trace(500)}) == 500


def outcome(scheduled: float, done: float, status: int = 200, steps: int = 10) -> Outcome:
    return Outcome(Ask(scheduled, steps, (0, 1), 0), scheduled, scheduled + 0.5, done, status)


def test_latency_counts_from_the_schedule_and_throughput_in_the_window() -> None:
    warm_up = [outcome(0, 12), outcome(1, 3)]
    counted = [outcome(10, 11), outcome(15, 18, steps=20), outcome(16, 16.1, status=429), outcome(20, 26)]
    cell = summary.cell_of([*warm_up, *counted], 2)
    assert cell["latency_s"]["10"] == {"count": 2, "p50": 3.5, "p95": 5.75, "p99": 5.95}
    assert cell["latency_s"]["20"]["p95"] == 3
    assert cell["latency_s"]["50"] == {"count": 0}
    # From 10 to 20: the late one of the warm-up, and two of the counted ones.
    assert cell["requests_per_second"] == 0.3
    assert cell["images_per_second"] == 0.6
    assert cell["offered_per_second"] == 0.3
    assert cell["to_the_end_per_second"] == pytest.approx(3 / 16, abs=1e-4)
    assert (cell["rejected"], cell["timed_out"], cell["tail_s"]) == (1, 0, 6)


def test_what_was_wanted_needs_both_cells() -> None:
    ours = {"latency_s": {"10": {"p95": 1.0}}, "requests_per_second": 5.0, "to_the_end_per_second": 3.0}
    theirs = {"latency_s": {"10": {"p95": 4.0}}, "requests_per_second": 4.0, "to_the_end_per_second": 4.0}
    assert summary.wanted({"step by step 90": ours}) is None
    found = summary.wanted({"step by step 90": ours, "batch by batch 90": theirs})
    assert found == {"load": 90, "p95_ratio": 0.25, "throughput_ratio": 1.25, "to_the_end_ratio": 0.75}


def test_network_seconds_are_read_from_the_servers_own_metrics() -> None:
    metrics = Metrics()
    assert count_of(metrics.text().decode()) == Count(0, 0, 0)
    metrics.network_call("a", 8, 0.25)
    metrics.network_call("a", 7, 0.5)
    assert count_of(metrics.text().decode()) == Count(2, 15, 0.75)


def test_memory_grows_from_the_first_fifth_to_the_last() -> None:
    assert rss_growth([100] * 5 + [500] * 15 + [110] * 5) == pytest.approx(0.1)
    assert rss_growth([100]) == 0


def test_a_body_is_json() -> None:
    ask = trace(1)[0]
    body = json.loads(json.dumps(ask.body()))
    assert body["n"] == len(body["labels"]) == ask.images
