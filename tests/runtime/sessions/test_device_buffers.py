"""Buffers on the device, tried on the CPU's: equal results, nothing read while it is written, nothing sent twice."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import ddim_edge
from ddim_edge.networks.denoiser import Denoiser
from ddim_edge.networks.row import Row
from ddim_edge.runtime.sessions.device_buffers import DeviceArray, DeviceBuffers
from ddim_edge.runtime.sessions.session import Session
from tests.helpers.tiny_bundles import tiny_model, tiny_prediction, write_bundle

Array = NDArray[Any]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bound") / "tiny") / "unet" / "model.onnx"


@pytest.fixture(scope="module")
def plain(graph: Path) -> Session:
    return Session(graph, "cpu")


@pytest.fixture(scope="module")
def bound(graph: Path) -> Session:
    return Session(graph, "cpu", bound=True)


def feeds(rows: int, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {
        "sample": rng.standard_normal((rows, 1, 8, 8), np.float32),
        "timestep": rng.integers(0, 1000, rows),
        "class_labels": rng.integers(0, 4, rows),
    }


def frozen(array: Array) -> Array:
    array.setflags(write=False)
    return array


def binding_of(session: Session) -> DeviceBuffers:
    assert session.device_buffers is not None
    return session.device_buffers


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=30))
def test_a_bound_session_answers_as_a_plain_one_whatever_shapes_come(
    plain: Session, bound: Session, shapes: list[int]
) -> None:
    kept = []
    for seed, rows in enumerate(shapes):
        asked = feeds(rows, seed)
        kept.append((bound.run(asked)["out_sample"], plain.run(asked)["out_sample"]))
    for found, wanted in kept:  # only now: no answer may have been overwritten by a later call
        np.testing.assert_array_equal(found, wanted)


def test_what_cannot_have_changed_is_sent_once_and_everything_else_each_time(graph: Path) -> None:
    session = Session(graph, "cpu", bound=True)
    labels = frozen(np.array([1, 2]))
    for seed in range(5):
        session.run({**feeds(2, seed), "class_labels": labels})
    # The first call of a shape goes without buffers: it tells how large the outputs are.
    assert binding_of(session).uploads == {"sample": 4, "timestep": 4, "class_labels": 1}
    session.run({**feeds(2), "class_labels": frozen(np.array([1, 2]))})
    assert binding_of(session).uploads["class_labels"] == 2


def test_an_array_that_was_written_to_is_sent_again(graph: Path) -> None:
    session, asked = Session(graph, "cpu", bound=True), feeds(1)
    for value in range(4):
        asked["sample"][:] = value
        wanted = tiny_prediction(asked["sample"][0], asked["timestep"][0], asked["class_labels"][0])
        np.testing.assert_array_equal(session.run(asked)["out_sample"][0], wanted)


def test_an_array_that_was_frozen_and_is_not_any_more_is_sent_again(graph: Path) -> None:
    session, asked = Session(graph, "cpu", bound=True), feeds(1)
    for value in range(4):
        asked["sample"].setflags(write=True)
        asked["sample"][:] = value
        asked["sample"].setflags(write=value % 2 == 0)
        wanted = tiny_prediction(asked["sample"][0], asked["timestep"][0], asked["class_labels"][0])
        np.testing.assert_array_equal(session.run({**asked, "sample": asked["sample"].view()})["out_sample"][0], wanted)


def test_a_batch_s_conditions_are_sent_when_its_composition_changes(graph: Path) -> None:
    session = Session(graph, "cpu", bound=True)
    denoiser, conditions = Denoiser(session), [{"class_labels": np.array([label])} for label in range(4)]
    rng = np.random.default_rng(0)

    def ask(*labels: int) -> None:
        samples = rng.standard_normal((len(labels), 1, 1, 8, 8)).astype(np.float32)
        rows = [Row(sample, 5, conditions[label], None, 1.0) for sample, label in zip(samples, labels, strict=True)]
        wanted = [tiny_prediction(sample[0], 5, label) for sample, label in zip(samples, labels, strict=True)]
        np.testing.assert_array_equal(denoiser.predict(rows), np.stack(wanted))

    sent = binding_of(session).uploads
    for _ in range(10):
        ask(0, 1, 2)
    assert (sent["class_labels"], sent["sample"]) == (1, 9)
    ask(0, 1, 3)
    ask(0, 1, 3)
    assert (sent["class_labels"], sent["sample"]) == (2, 11)


def test_half_precision_conditions_are_cast_and_sent_once(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "half", tiny_model(half=True))
    session = Session(folder / "unet" / "model.onnx", "cpu", bound=True)
    sample = frozen(feeds(2)["sample"])
    for seed in range(4):
        session.run({**feeds(2, seed), "sample": sample})
    assert binding_of(session).uploads["sample"] == 1


def test_an_output_that_stays_is_the_next_input_and_never_what_is_read(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = Session(graph, "cpu", bound=True)
    ran: list[tuple[set[int], set[int]]] = []
    bind = onnxruntime.IOBinding.bind_ortvalue_output

    def watched(binding: Any, name: str, value: Any) -> None:
        ran.append(({read.data_ptr() for read in binding._bound_inputs.values()}, {value.data_ptr()}))
        bind(binding, name, value)

    monkeypatch.setattr(onnxruntime.IOBinding, "bind_ortvalue_output", watched)
    asked = feeds(3)
    wanted: Array = asked["sample"]
    sample: Any = asked["sample"]
    for _ in range(9):
        sample = bound.run_on_device({**asked, "sample": sample}, ["out_sample"])["out_sample"]
        rows = zip(wanted, asked["timestep"], asked["class_labels"], strict=True)
        wanted = np.stack([tiny_prediction(*row) for row in rows])
    np.testing.assert_array_equal(sample, wanted)
    assert isinstance(sample, DeviceArray)
    assert binding_of(bound).uploads["sample"] == 1
    assert len(ran) == 3  # from the host, and then to and fro: three sets of addresses, however many steps
    assert all(not read & written for read, written in ran)


def test_an_array_that_somebody_holds_is_saved_before_its_memory_is_used_again(graph: Path) -> None:
    bound, held, wanted = Session(graph, "cpu", bound=True), [], []
    for seed in range(7):
        asked = feeds(2, seed)
        held.append(bound.run_on_device(asked, ["out_sample"])["out_sample"])
        wanted.append(Session(graph, "cpu").run(asked)["out_sample"])
    for found, answer in zip(held, wanted, strict=True):
        np.testing.assert_array_equal(found, answer)
    assert sum(isinstance(array, DeviceArray) and array.value is not None for array in held) == 2


def test_a_device_array_of_another_session_is_read_where_it_lies(graph: Path) -> None:
    first, second = (Session(graph, "cpu", bound=True) for _ in range(2))
    asked = feeds(2)
    for _ in range(3):
        passed = first.run_on_device(asked, ["out_sample"])["out_sample"]
        found = second.run({**asked, "sample": passed})["out_sample"]
    plain = Session(graph, "cpu")
    wanted = plain.run({**asked, "sample": plain.run(asked)["out_sample"]})["out_sample"]
    np.testing.assert_array_equal(found, wanted)
    assert binding_of(second).uploads["sample"] == 0


def test_buffers_are_kept_for_eight_combinations_of_shapes(graph: Path) -> None:
    session = Session(graph, "cpu", bound=True)
    for rows in [*range(1, 13), 12, 5, 5]:
        session.run(feeds(rows))
    assert len(binding_of(session)._by_shapes) == 8
    assert session.run(feeds(1))["out_sample"].shape == (1, 1, 8, 8)


class Recorder:
    """ONNX Runtime's session as far as a binding needs it; notes which CUDA graph each call is for."""

    def __init__(self, raw: Any) -> None:
        self._raw, self.graphs, self.released = raw, list[str](), list[int]()

    def io_binding(self) -> Any:
        return self._raw.io_binding()

    def run(self, names: list[str], arrays: dict[str, Array], options: Any) -> Any:
        self.graphs.append(options.get_run_config_entry("gpu_graph_id"))
        return self._raw.run(names, arrays)

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        self.graphs.append(options.get_run_config_entry("gpu_graph_id"))
        self._raw.run_with_iobinding(binding)

    def release_captured_graph(self, graph_id: int) -> None:
        self.released.append(graph_id)


def test_every_set_of_addresses_has_a_cuda_graph_of_its_own_and_the_first_call_none(graph: Path) -> None:
    recorder = Recorder(ddim_edge.Session(graph, "cpu").raw)
    binding = DeviceBuffers(recorder, "cpu", captures=True)
    for rows in (2, 2, 2, 3, 3, 2):
        binding.run(feeds(rows), ["out_sample"], ())
    assert recorder.graphs == ["-1", "1", "1", "-1", "2", "1"]
    for rows in range(4, 11):
        binding.run(feeds(rows), ["out_sample"], ())
        binding.run(feeds(rows), ["out_sample"], ())
    assert recorder.released == [2]  # of three rows, the combination that was used longest ago
