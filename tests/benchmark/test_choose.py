"""What `ddim-edge build --provider auto` measures, in which order, and what it says of a device that fails."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.benchmark import choose
from ddim_edge.benchmark.candidates import candidates
from ddim_edge.benchmark.choose import measure
from ddim_edge.build.plan import BuildRequest
from ddim_edge.bundle.bundle import Bundle
from ddim_edge.bundle.read import open_bundle
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.compiled.measured import Measured, fastest
from ddim_edge.runtime.hardware import cpu
from ddim_edge.runtime.hardware.cpu import Cpu
from ddim_edge.runtime.providers.table import Provider
from tests.benchmark.faulty_worker import CRASHES, HANGS, IS_WRONG

DEFAULT = Measured("cpu", None, "float32", None)


def _with(threads: int) -> Measured:
    return Measured("cpu", None, "float32", threads)


class FakeWorker:
    """A process whose calls take as many seconds as its threads; the default takes 4."""

    alive = 0
    most_alive = 0
    asked: Mapping[int | None, list[str]] = {}

    def __init__(self, _module: str, settings: Mapping[str, Any]) -> None:
        self.pid = 0
        self._threads = settings["device"]["threads"]
        FakeWorker.alive += 1
        FakeWorker.most_alive = max(FakeWorker.alive, FakeWorker.most_alive)

    def ready(self) -> dict[str, Any]:
        return {"difference": None, "machine": Machine("CPU", None, "1", None).to_json()}

    def ask(self, *, kind: str, seconds: float) -> dict[str, Any]:
        assert seconds == choose.ROUND_SECONDS
        FakeWorker.asked[self._threads].append(kind)
        whole = float(self._threads or 4)
        return {"taken": [whole if kind == "guided" else whole / 2]}

    def stop(self) -> None:
        FakeWorker.alive -= 1


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeWorker]:
    monkeypatch.setattr(choose, "Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "most_alive", 0)
    monkeypatch.setattr(FakeWorker, "asked", defaultdict(list))
    return FakeWorker


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return open_bundle(tiny_bundle)


def _notify(_text: str) -> None:
    """Progress, which no test reads."""


def test_small_networks_are_measured_in_rounds_and_far_ones_once(fake: type[FakeWorker], bundle: Bundle) -> None:
    rows = measure(bundle, [DEFAULT, _with(3), _with(9)], BuildRequest(), _notify)
    assert [row.seconds for row in rows] == [
        {"single": 2.0, "guided": 4.0},
        {"single": 1.5, "guided": 3.0},
        {"single": 4.5, "guided": 9.0},
    ]
    assert fastest(rows, "float32") == rows[1]
    assert {threads: len(kinds) for threads, kinds in fake.asked.items()} == {None: 6, 3: 6, 9: 2}
    assert (fake.alive, fake.most_alive) == (0, 3)


def test_large_networks_are_opened_one_at_a_time(
    fake: type[FakeWorker], bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "budget_bytes", lambda: 1)
    monkeypatch.setattr(cpu, "describe", lambda: Cpu(cores=2, allowed=2, processors=4))
    rows = measure(bundle, [DEFAULT, _with(1), _with(3)], BuildRequest(), _notify)
    assert [(row.threads, row.time) for row in rows] == [(None, 4.0), (3, 3.0)]
    assert {threads: len(kinds) for threads, kinds in fake.asked.items()} == {None: 2, 3: 2}
    assert (fake.alive, fake.most_alive) == (0, 1)


def test_without_guidance_single_images_decide(fake: type[FakeWorker], bundle: Bundle) -> None:
    (row,) = measure(bundle, [DEFAULT], BuildRequest(guided=False), _notify)
    assert (row.seconds, row.time) == ({"single": 2.0}, 2.0)
    assert set(fake.asked[None]) == {"single"}


def test_a_process_each_measures_a_real_network(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "ROUND_SECONDS", 0.001)
    monkeypatch.setattr(choose, "WORKER", "tests.benchmark.faulty_worker")
    faulty = [_with(CRASHES), _with(IS_WRONG)]
    default, one, crashed, wrong = measure(bundle, [DEFAULT, _with(1), *faulty], BuildRequest(), _notify)
    for row in (default, one):
        assert (row.reason, set(row.seconds)) == (None, {"single", "guided"})
        assert 0 < row.time < 1
        assert row.faults() == []
    assert (default.difference, one.difference) == (None, 0.0)
    assert (crashed.reason, crashed.seconds, crashed.machine) == ("its process was killed by SIGKILL", {}, None)
    assert wrong.reason == "it computes something else: its prediction differs by 5.0e-01 of it"


def test_a_process_that_hangs_is_ended(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(choose, "WORKER", "tests.benchmark.faulty_worker")
    (row,) = measure(bundle, [_with(HANGS)], BuildRequest(), _notify)
    assert (row.reason, row.seconds) == ("no answer within 0.2 s, as where a driver hangs", {})


@pytest.mark.parametrize(
    ("processors", "threads"),
    [
        (Cpu(cores=8, allowed=8, processors=16), [None, 4, 16]),
        (Cpu(cores=2, allowed=2, processors=2), [None, 1]),
        (Cpu(cores=1, allowed=1, processors=1), [None]),
        (Cpu(cores=8, allowed=4, masked=True, processors=8), [None, 2]),
        (Cpu(cores=8, allowed=8, quota=2.0, processors=8), [None]),
        (Cpu(cores=8, allowed=8, asked=3, processors=8), [None]),
        (Cpu(cores=None, allowed=None, processors=4), [None]),
    ],
)
def test_the_numbers_of_threads(processors: Cpu, threads: list[int | None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "describe", lambda: processors)
    found = [row for row in candidates("float32") if row.provider == "cpu"]
    assert [row.threads for row in found] == threads
    assert candidates("float32")[0] == DEFAULT


def test_openvinos_other_devices_are_measured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddim_edge.benchmark.candidates.other_devices", lambda: ["GPU"])
    monkeypatch.setattr(Provider, "uses_own_runtime", lambda row, _which: row.name == "openvino")
    monkeypatch.setattr(Provider, "has_own_runtime", True)
    monkeypatch.setattr(cpu, "describe", lambda: Cpu(cores=1, allowed=1, processors=1))
    found = [row.name for row in candidates("bfloat16") if row.provider in ("cpu", "openvino")]
    assert found == [
        "cpu in float32",
        "openvino in float32",
        "openvino:GPU in float32",
        "openvino in bfloat16",
        "openvino:GPU in bfloat16",
    ]
