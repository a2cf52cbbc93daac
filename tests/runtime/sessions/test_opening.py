"""How a graph is opened on a provider, seen with a runtime that claims to have GPUs and computes on the CPU."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

import ddim_edge
from ddim_edge.networks.denoiser import Denoiser
from ddim_edge.runtime.compiled.entry import Compiled
from ddim_edge.runtime.compiled.integrity import Contents
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.compiled.recipe import Recipe
from ddim_edge.runtime.compiled.store import Found
from ddim_edge.runtime.providers import device as device_module
from ddim_edge.runtime.providers import onnxruntime_module as runtime
from ddim_edge.runtime.sessions import opening
from ddim_edge.runtime.sessions.opening import FallbackWarning
from ddim_edge.runtime.sessions.session import Session

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
NO_CAPTURE = (
    "[ONNXRuntimeError] : 1 : FAIL : This session cannot use the graph capture feature as requested by the user as the "
    "model has control flow nodes which can't be supported by CUDAExecutionProvider"
)


class FakeSession:
    """ONNX Runtime's session on the CPU that says that it is elsewhere, and where its nodes went."""

    def __init__(self, path: Path, options: Any, ort_name: str, left: Counter[str]) -> None:
        self._real = onnxruntime.InferenceSession(path, options, providers=[CPU])
        self._ort_name, self._left = ort_name, left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get_providers(self) -> list[str]:
        return [self._ort_name, CPU]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return [_part(self._ort_name, Counter({"Conv": 10})), _part(CPU, self._left)]


def _part(ort_name: str, kinds: Counter[str]) -> Any:
    nodes = [SimpleNamespace(op_type=kind) for kind in kinds.elements()]
    return SimpleNamespace(ep_name=ort_name, get_nodes=lambda: nodes)


@dataclass
class FakeRuntime:
    """What was asked of it, provider by provider, and how it answers."""

    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    captures: bool = True

    def create(self, path: Path, options: Any, providers: Any, **_rest: Any) -> Any:
        ((ort_name, given),) = providers
        self.asked.append((ort_name, dict(given)))
        if given.get("enable_cuda_graph") == "1" and not self.captures:
            raise RuntimeError(NO_CAPTURE)
        return FakeSession(path, options, ort_name, self.left)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    """Sessions are not bound: there is no memory of a GPU here to bind them to."""
    made = FakeRuntime()
    module = SimpleNamespace(
        **{name: getattr(onnxruntime, name) for name in ("SessionOptions", "GraphOptimizationLevel", "__version__")},
        get_available_providers=lambda: [TENSORRT, CUDA, CPU],
        set_default_logger_severity=lambda _severity: None,
        InferenceSession=made.create,
        __file__=onnxruntime.__file__,
    )
    for user in (opening, device_module, runtime):
        monkeypatch.setattr(user, "runtime", lambda: module)
    return made


@pytest.fixture
def graph(tiny_bundle: Path) -> Path:
    return tiny_bundle / "unet" / "model.onnx"


def opened(graph: Path, device: ddim_edge.Device | str, **options: Any) -> Session:
    return Session(graph, device, bound=False, **options)


def test_a_network_of_the_steps_gets_a_cuda_graph_and_the_best_algorithms(fake: FakeRuntime, graph: Path) -> None:
    session = opened(graph, "cuda:1")
    ((name, given),) = fake.asked
    assert (name, session.provider, session.static_shapes) == (CUDA, "cuda", True)
    wanted = {"enable_cuda_graph": "1", "device_id": "1", "cudnn_conv_algo_search": "EXHAUSTIVE", "use_tf32": "0"}
    assert wanted.items() <= given.items()


def test_a_network_called_once_an_image_gets_neither(fake: FakeRuntime, graph: Path) -> None:
    session = opened(graph, "cuda", each_step=False)
    ((_, given),) = fake.asked
    assert given["cudnn_conv_algo_search"] == "HEURISTIC"
    assert "enable_cuda_graph" not in given
    assert not session.static_shapes


def test_a_graph_that_cannot_be_recorded_runs_without_and_says_why(fake: FakeRuntime, graph: Path) -> None:
    fake.captures = False
    with pytest.warns(FallbackWarning, match="unet runs without a CUDA graph: .*control flow nodes"):
        session = opened(graph, "cuda")
    assert [given["enable_cuda_graph"] for _, given in fake.asked] == ["1", "0"]
    assert not session.static_shapes


def test_a_cuda_graph_that_was_asked_for_is_an_error_where_there_is_none(fake: FakeRuntime, graph: Path) -> None:
    fake.captures = False
    with pytest.raises(ddim_edge.ProviderError, match=r"cannot be a CUDA graph: .*control flow"):
        opened(graph, ddim_edge.Device.parse("cuda", {"enable_cuda_graph": "1"}))


def test_a_cuda_graph_is_for_networks_of_the_steps_alone(fake: FakeRuntime, graph: Path) -> None:
    opened(graph, ddim_edge.Device.parse("cuda", {"enable_cuda_graph": "1"}), each_step=False)
    ((_, given),) = fake.asked
    assert "enable_cuda_graph" not in given


def test_the_user_s_options_go_before_ours(fake: FakeRuntime, graph: Path) -> None:
    opened(graph, ddim_edge.Device.parse("cuda", {"use_tf32": "1", "gpu_mem_limit": "1000"}))
    ((_, given),) = fake.asked
    assert {"use_tf32": "1", "gpu_mem_limit": "1000"}.items() <= given.items()


def test_work_that_was_left_to_the_cpu_is_an_error_with_the_operators(fake: FakeRuntime, graph: Path) -> None:
    fake.left = Counter({"InstanceNormalization": 24, "Shape": 9})
    with pytest.raises(ddim_edge.ProviderError, match=r"unet: cuda left 24 InstanceNormalization .* --allow-fallback"):
        opened(graph, "cuda")
    with pytest.warns(FallbackWarning, match="24 InstanceNormalization"):
        session = opened(graph, ddim_edge.Device.parse("cuda", allow_fallback=True))
    assert session.provider == "cuda"


def test_auto_passes_over_a_provider_that_leaves_work_to_the_cpu_and_says_so(fake: FakeRuntime, graph: Path) -> None:
    fake.left = Counter({"InstanceNormalization": 24})
    with pytest.warns(FallbackWarning, match="cuda left 24 InstanceNormalization"):
        session = opened(graph, "auto")
    assert session.provider == "cpu"


def test_tensorrt_without_an_engine_is_an_error_that_says_what_to_run(fake: FakeRuntime, graph: Path) -> None:
    with pytest.raises(
        ddim_edge.ProviderError, match=r"nothing is built\. Run `ddim-edge build .* --provider tensorrt"
    ):
        opened(graph, "tensorrt")
    assert fake.asked == []


MACHINE = Machine("GPU 9.0", "580.1", "1.32.0", "TensorRT 10.3")
Engines = Callable[[list[int]], tuple[Compiled, ...]]


@pytest.fixture
def engines(graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engines:
    """Pretend that TensorRT's engines were built for so many rows each."""

    def build(batches: list[int]) -> tuple[Compiled, ...]:
        made = []
        for rows in batches:
            shapes = {"sample": (rows, 1, 8, 8), "timestep": (rows,), "class_labels": (rows,)}
            recipe = Recipe("tensorrt", graph, shapes, MACHINE, "fp16")
            made.append(Compiled(tmp_path / f"engine-{rows}", recipe, "", {}, "", Contents({}, {}), 1.0, 1, ""))
        fitting = tuple(made)
        found = lambda _path, name, *_, **_more: Found(fitting if name == "tensorrt" else (), ())  # noqa: E731
        monkeypatch.setattr(opening, "find", found)
        return fitting

    return build


def test_auto_takes_tensorrt_only_where_an_engine_is_built(fake: FakeRuntime, graph: Path, engines: Engines) -> None:
    assert opened(graph, "auto").provider == "cuda"
    engines([1])
    assert opened(graph, "auto").provider == "tensorrt"
    name, given = fake.asked[-1]
    assert name == TENSORRT
    assert given["trt_engine_cache_path"].endswith("engine-1")


def test_auto_says_that_an_engine_is_left_out_because_it_does_not_fit(
    fake: FakeRuntime, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfit = Found((), ("built in fp16, asked for fp32",))
    monkeypatch.setattr(
        opening, "find", lambda _path, name, *_, **_more: unfit if name == "tensorrt" else Found((), ())
    )
    with pytest.warns(FallbackWarning, match="built in fp16, asked for fp32. Run `ddim-edge build"):
        assert opened(graph, "auto").provider == "cuda"
    assert fake.asked


def feeds(rows: int) -> dict[str, Any]:
    sample = np.zeros((rows, 1, 8, 8), np.float32)
    return {"sample": sample, "timestep": np.arange(rows), "class_labels": np.zeros(rows, np.int64)}


def test_each_shape_runs_in_its_own_engine_which_is_opened_once(
    fake: FakeRuntime, graph: Path, engines: Engines
) -> None:
    engines([1, 4])
    session = opened(graph, "tensorrt")
    for rows in (1, 4, 1, 4):
        assert len(session.run(feeds(rows))["out_sample"]) == rows
    assert [Path(given["trt_engine_cache_path"]).name for _, given in fake.asked] == ["engine-1", "engine-4"]


def test_a_shape_without_an_engine_is_refused_with_the_command_not_built(
    fake: FakeRuntime, graph: Path, engines: Engines
) -> None:
    engines([1, 4])
    session = opened(graph, "tensorrt")
    with pytest.raises(ddim_edge.ProviderError, match=r"what is built is for .*ddim-edge build .* --batch 3"):
        session.run(feeds(3))
    assert len(fake.asked) == 1


def test_rows_are_padded_to_an_engine_and_split_over_the_largest(
    fake: FakeRuntime, tiny_bundle: Path, graph: Path, engines: Engines
) -> None:
    wanted = ddim_edge.load(tiny_bundle, "cpu").generate(num_images=7, num_steps=3, seed=5)
    engines([1, 4])
    pipeline = ddim_edge.Pipeline(ddim_edge.load(tiny_bundle, "cpu").bundle, "cpu")
    pipeline.denoiser = Denoiser(opened(graph, "tensorrt"))
    np.testing.assert_array_equal(pipeline.generate(num_images=7, num_steps=3, seed=5).images, wanted.images)
    used = [Path(given["trt_engine_cache_path"]).name for name, given in fake.asked if name == TENSORRT]
    assert used == ["engine-1", "engine-4"]
