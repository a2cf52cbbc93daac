"""What is really compiled here: optimized graphs for the CPU, and EPContext models where OpenVINO's plugin is there."""

import importlib.util
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

import ddim_edge
from ddim_edge.build import compiler as compiling
from ddim_edge.build.compiler import compile_graph
from ddim_edge.build.run import build
from ddim_edge.bundle.read import open_bundle
from ddim_edge.errors import ProviderError
from ddim_edge.graphs.external_data import check_onnx_file
from ddim_edge.graphs.fingerprint import graph_sha256
from ddim_edge.runtime.compiled.entry import Compiled, write_record
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.compiled.places import user_cache
from ddim_edge.runtime.compiled.recipe import Recipe
from ddim_edge.runtime.compiled.store import find
from ddim_edge.runtime.providers.device import Device
from ddim_edge.runtime.sessions import opening

MODELS = Path(__file__).parents[2] / "models"
GRAPHS = sorted(path.relative_to(MODELS) for path in MODELS.glob("*/*/model.onnx"))
UNET = open_bundle("fashion-mnist").folder / "unet" / "model.onnx"
NEEDS_OPENVINO = pytest.mark.skipif(
    not importlib.util.find_spec("onnxruntime_ep_openvino"), reason="needs onnxruntime-ep-openvino"
)
Arrays = Mapping[str, np.ndarray[Any, Any]]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path / "cache"))


def _build(graph: Path, provider: str) -> Compiled:
    recipe, sha256 = Recipe(provider, graph, {}, Machine.of(provider)), graph_sha256(graph)
    folder = recipe.folder(user_cache(), sha256)
    folder.mkdir(parents=True)
    compile_graph(recipe, folder, Device(provider, allow_fallback=True))
    return write_record(folder, recipe, sha256, 1.0)


def _feeds(session: ddim_edge.Session) -> dict[str, np.ndarray[Any, Any]]:
    rng, feeds = np.random.default_rng(0), {}
    for name, info in session.inputs.items():
        shape = [2 if position == 0 else 16 for position, _ in enumerate(info.shape)]
        shape = [axis if isinstance(axis, int) else free for axis, free in zip(info.shape, shape, strict=True)]
        is_whole = info.dtype.kind == "i"
        feeds[name] = rng.integers(0, 9, shape) if is_whole else rng.standard_normal(shape, np.float32)
    return feeds


def _run(graph: Path, provider: str = "cpu") -> tuple[Arrays, Arrays]:
    session = ddim_edge.Session(graph, provider)
    assert session.provider == provider
    feeds = _feeds(session)
    return feeds, session.run(feeds)


@pytest.mark.parametrize("graph", GRAPHS, ids=str)
def test_an_optimized_graph_computes_the_very_same(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = MODELS / graph
    _, plain = _run(path)
    built = _build(path, "cpu")
    opened: list[Path] = []
    create = opening._create
    monkeypatch.setattr(opening, "_create", lambda path, *rest: opened.append(path) or create(path, *rest))  # type: ignore[func-returns-value]
    _, optimized = _run(path)
    assert opened == [built.graph]
    assert optimized.keys() == plain.keys()
    for name, array in optimized.items():
        np.testing.assert_array_equal(array, plain[name], strict=True)


def test_an_optimized_graphs_weights_lie_beside_it() -> None:
    *_, last = build([Recipe("cpu", UNET, {}, Machine.of("cpu"))], user_cache(), Device("cpu"))
    built = last.compiled
    assert built is not None
    assert sorted(path.name for path in built.folder.iterdir()) == ["built.json", "model.onnx", "model.onnx_data"]
    assert check_onnx_file(built.graph, built.folder) == [built.folder / "model.onnx_data"]
    assert built.graph.stat().st_size < 0.1 * UNET.stat().st_size
    assert built.size == sum((built.folder / name).stat().st_size for name in ("model.onnx", "model.onnx_data"))


def test_a_graph_that_cannot_be_compiled_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "unet" / "model.onnx"
    broken.parent.mkdir()
    broken.write_bytes(UNET.read_bytes().replace(b"Conv", b"Cowv"))
    with pytest.raises(ProviderError, match=r"unet/model.onnx cannot be opened: .*Cowv"):
        _build(broken, "cpu")
    assert find(broken, "cpu").fitting == ()


def test_tensorrt_that_does_not_load_is_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe("tensorrt", UNET, {}, Machine("GPU", None, "1.32.0", "TensorRT 10"), "fp32")
    monkeypatch.setattr("ddim_edge.build.compiler.why_not_loaded", lambda _library: "libnvinfer.so.10 is not there")
    with (
        pytest.warns(UserWarning, match="'TensorrtExecutionProvider' is not in available provider names"),
        pytest.raises(ProviderError, match=r"provider 'tensorrt' did not load: libnvinfer.so.10 is not there"),
    ):
        compile_graph(recipe, tmp_path, Device("tensorrt"))


class FakeSession:
    """ONNX Runtime's session of the bundled UNet on a GPU with TensorRT, which builds at the first call."""

    def __init__(self, graph: Path, _options: Any, providers: Any, enable_fallback: int) -> None:
        assert (graph, enable_fallback) == (UNET, 0)
        ((self.name, self.options),) = providers
        self.on_cpu = onnxruntime.InferenceSession(graph, _options, providers=["CPUExecutionProvider"])

    def get_providers(self) -> list[str]:
        return [self.name, "CPUExecutionProvider"]

    def get_inputs(self) -> Any:
        return self.on_cpu.get_inputs()

    def run(self, outputs: None, feeds: Arrays) -> None:
        self.on_cpu.run(outputs, feeds)  # which says whether names, types and shapes are right
        shapes = ",".join(f"{name}:{'x'.join(map(str, array.shape))}" for name, array in feeds.items())
        assert self.options["trt_profile_opt_shapes"] == shapes
        (Path(self.options["trt_engine_cache_path"]) / "an.engine").write_bytes(b"engine")

    def get_provider_graph_assignment_info(self) -> Any:
        return []


def test_tensorrt_builds_with_the_recipes_options_and_is_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = SimpleNamespace(SessionOptions=onnxruntime.SessionOptions, InferenceSession=FakeSession)
    monkeypatch.setattr(compiling, "runtime", lambda: fake)
    shapes = {"sample": (2, 1, 28, 28), "timestep": (2,), "class_labels": (2,)}
    recipe = Recipe("tensorrt", UNET, shapes, Machine("GPU", None, "1.32.0", "TensorRT 10"), "fp16", 2**30)
    assert compile_graph(recipe, tmp_path, Device("tensorrt", "1")) is None
    assert (tmp_path / "an.engine").is_file()
    monkeypatch.setattr(FakeSession, "run", lambda *_: None)
    (tmp_path / "an.engine").unlink()
    with pytest.raises(ProviderError, match="TensorRT built no engine: it takes no part of unet's graph"):
        compile_graph(recipe, tmp_path, Device("tensorrt", "1"))


@NEEDS_OPENVINO
@pytest.mark.parametrize("graph", GRAPHS, ids=str)
def test_an_epcontext_model_of_openvino_agrees_with_the_cpu(graph: Path) -> None:
    path = MODELS / graph
    built = _build(path, "openvino")
    assert b"EPContext" in built.graph.read_bytes()
    (found,) = find(path, "openvino").fitting
    assert found == built
    feeds, plain = _run(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", opening.FallbackWarning)  # attention is the CPU's, in the other case too
        session = ddim_edge.Session(path, Device("openvino", allow_fallback=True))
    for name, array in session.run(feeds).items():
        np.testing.assert_allclose(array, plain[name], atol=1e-4)


@NEEDS_OPENVINO
def test_what_a_session_would_refuse_is_not_built() -> None:
    path = MODELS / "emoji" / "text_encoder" / "model.onnx"
    recipe = Recipe("openvino", path, {}, Machine.of("openvino"))
    words = "text_encoder: openvino left [0-9]+ Attention of [0-9]+ working nodes to the CPU"
    with pytest.raises(ProviderError, match=words):
        list(build([recipe], user_cache(), Device("openvino")))
    assert find(path, "openvino").fitting == ()
    *_, end = build([recipe], user_cache(), Device("openvino", allow_fallback=True))
    assert end.remark is not None
    assert re.match(words, end.remark)
    with pytest.raises(ProviderError, match=words):
        ddim_edge.Session(path, "openvino")
