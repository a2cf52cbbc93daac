"""A session's provider: the one that was asked for, or an error that says why not."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

import ddim_edge
from ddim_edge.runtime.providers import device as device_module
from ddim_edge.runtime.providers import onnxruntime_module as runtime
from ddim_edge.runtime.providers import table as providers
from ddim_edge.runtime.sessions import opening


@pytest.fixture
def graph(tiny_bundle: Path) -> Path:
    return tiny_bundle / "unet" / "model.onnx"


def test_auto_says_what_it_took(graph: Path) -> None:
    session = ddim_edge.Session(graph)
    assert session.provider in providers.NAMES
    assert session.provider != "auto"
    names = {provider.name: provider.ort_name for provider in providers.PROVIDERS}
    raw: Any = session.raw
    assert names[session.provider] in raw.get_providers()


def test_an_unknown_provider_is_refused_with_the_nearest(graph: Path) -> None:
    with pytest.raises(ddim_edge.ProviderError, match=r"provider 'cdua' is unknown\. Did you mean 'cuda'"):
        ddim_edge.Session(graph, "cdua")


def _runtime(monkeypatch: pytest.MonkeyPatch, available: list[str], create: Any) -> None:
    """Put a runtime that has ``available`` providers and makes sessions with ``create`` in the real one's place."""
    module = SimpleNamespace(
        get_available_providers=lambda: available,
        set_default_logger_severity=lambda _severity: None,
        SessionOptions=onnxruntime.SessionOptions,
        InferenceSession=create,
        __file__=onnxruntime.__file__,
    )
    for user in (opening, device_module, runtime):
        monkeypatch.setattr(user, "runtime", lambda: module)


CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def _falls_back(path: Path, options: Any, **_keywords: Any) -> Any:
    return onnxruntime.InferenceSession(path, options, providers=[CPU])


def _raises_on_cuda(path: Path, options: Any, **keywords: Any) -> Any:
    if keywords["providers"][0][0] == CUDA:
        raise RuntimeError("no kernel image is available\nand a long trace")
    return onnxruntime.InferenceSession(path, options, providers=[CPU])


def test_a_provider_that_is_not_in_the_package(monkeypatch: pytest.MonkeyPatch, graph: Path) -> None:
    _runtime(monkeypatch, [CPU], _falls_back)
    with pytest.raises(
        ddim_edge.ProviderError, match=r"'cuda' is not in the installed onnxruntime.* \(it has cpu\)"
    ) as no:
        ddim_edge.Session(graph, "cuda")
    assert "Remedy: pip install 'onnxruntime-gpu[cuda,cudnn]'" in str(no.value)


def test_a_provider_that_falls_back_in_silence_is_an_error(monkeypatch: pytest.MonkeyPatch, graph: Path) -> None:
    _runtime(monkeypatch, [CUDA, CPU], _falls_back)
    with pytest.raises(
        ddim_edge.ProviderError, match=r"provider 'cuda' did not load: .+ Remedy: .+ or --provider auto"
    ):
        ddim_edge.Session(graph, "cuda")


def test_a_provider_that_raises_is_an_error_with_its_reason(monkeypatch: pytest.MonkeyPatch, graph: Path) -> None:
    _runtime(monkeypatch, [CUDA, CPU], _raises_on_cuda)
    with pytest.raises(ddim_edge.ProviderError, match=r"'cuda' did not load: no kernel image is available\. Remedy"):
        ddim_edge.Session(graph, "cuda")


@pytest.mark.parametrize("create", [_falls_back, _raises_on_cuda])
def test_auto_goes_on_to_the_cpu_and_says_so(monkeypatch: pytest.MonkeyPatch, graph: Path, create: Any) -> None:
    _runtime(monkeypatch, [CUDA, CPU], create)
    assert ddim_edge.Session(graph).provider == "cpu"


def test_auto_without_any_provider_that_loads_gives_every_reason(monkeypatch: pytest.MonkeyPatch, graph: Path) -> None:
    _runtime(monkeypatch, [CUDA], _raises_on_cuda)
    with pytest.raises(ddim_edge.ProviderError, match="'cuda' did not load: no kernel image"):
        ddim_edge.Session(graph)


def test_without_onnxruntime_the_two_commands_are_named(monkeypatch: pytest.MonkeyPatch, graph: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ddim_edge.ProviderError) as caught:
        ddim_edge.Session(graph)
    assert str(caught.value) == runtime.NOT_INSTALLED
    assert "pip install onnxruntime," in runtime.NOT_INSTALLED
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]'" in runtime.NOT_INSTALLED


def test_what_an_uninstalled_twin_leaves_behind_is_broken(monkeypatch: pytest.MonkeyPatch, graph: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace())
    with pytest.raises(ddim_edge.ProviderError, match="ONNX Runtime is broken: pip install --force-reinstall"):
        ddim_edge.Session(graph)


@pytest.mark.parametrize("line", ["raise ImportError('libcudart.so.12: cannot open')", "import not_there"])
def test_a_runtime_that_does_not_import_is_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, graph: Path, line: str
) -> None:
    (tmp_path / "onnxruntime.py").write_text(line)
    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ddim_edge.ProviderError, match=r"ONNX Runtime is broken: .*(libcudart|not_there).*Reinstall it"):
        ddim_edge.Session(graph)


def test_why_not_loaded_asks_the_system_for_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = "onnxruntime_providers_cuda"
    monkeypatch.setattr(runtime, "runtime", lambda: SimpleNamespace(__file__=tmp_path / "__init__.py"))
    assert "holds no" in runtime.why_not_loaded(cuda)
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").write_bytes(b"no library")
    assert "invalid ELF header" in runtime.why_not_loaded(cuda) or "file too short" in runtime.why_not_loaded(cuda)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("cuda:x", {}, "the device must be a number"),
        ("cpu:1", {}, "no devices to choose from"),
        ("auto:1", {}, "device '1' belongs to a provider"),
        ("auto", {"use_tf32": "1"}, "option 'use_tf32' belongs to a provider"),
        ("cuda", {"use_tf23": "1"}, "Did you mean 'use_tf32'"),
        ("cpu", {"use_tf32": "1"}, "takes no options"),
        ("cuda", {"device_id": "1"}, "--provider cuda:1"),
        ("cudda", {}, "Did you mean 'cuda'"),
    ],
)
def test_a_device_that_cannot_be_is_refused_before_anything_is_opened(
    text: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(ddim_edge.ProviderError, match=message):
        ddim_edge.Device.parse(text, options)
