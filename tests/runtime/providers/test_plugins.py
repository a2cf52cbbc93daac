"""A provider that a package of its own brings: found, loaded once, and chosen by its devices."""

import dataclasses
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.bundle.read import open_bundle
from ddim_edge.errors import ProviderError
from ddim_edge.runtime.providers import plugins
from ddim_edge.runtime.providers.table import provider_named
from ddim_edge.runtime.sessions.opening import FallbackWarning

_EP = "FakeExecutionProvider"


def _device(kind: str, ep_name: str = _EP) -> Any:
    return SimpleNamespace(ep_name=ep_name, device=SimpleNamespace(type=SimpleNamespace(name=kind)))


class FakeRuntime:
    """What of onnxruntime is used here; it keeps what it is told."""

    def __init__(self, devices: Sequence[Any]) -> None:
        self.devices, self.registered = devices, dict[str, str]()

    def register_execution_provider_library(self, name: str, path: str) -> None:
        if name in self.registered:
            raise RuntimeError(f"EP library is already registered under {name}")
        if path == "broken":
            raise RuntimeError("Failed to load library broken: libcuda.so.1: cannot open\nand more")
        self.registered[name] = path

    def get_ep_devices(self) -> Sequence[Any]:
        return self.devices


class FakeOptions:
    """As SessionOptions."""

    def __init__(self) -> None:
        self.added: list[Any] = []

    def add_provider_for_devices(self, devices: list[Any], options: dict[str, str]) -> None:
        self.added.append((devices, options))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed package, whose module is called as no other test's."""
    name = "ep_" + "".join(filter(str.isalnum, tmp_path.name))
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("def get_library_path():\n    return __file__ + '.so'\n")
    information = tmp_path / "fake_plugin-1.2.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-plugin\nVersion: 1.2\n")
    (information / "top_level.txt").write_text(f"{name}\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def _with_devices(monkeypatch: pytest.MonkeyPatch, *devices: Any) -> FakeRuntime:
    fake = FakeRuntime(devices)
    monkeypatch.setattr(plugins, "runtime", lambda: fake)
    return fake


def _found(module: str) -> plugins.Plugin:
    plugin = plugins.find(module)
    assert plugin is not None
    return plugin


def test_what_is_not_installed_is_not_found() -> None:
    assert plugins.find("ep_that_nobody_installed") is None
    assert plugins.find(None) is None


def test_it_is_loaded_when_its_devices_are_wanted_and_only_once(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = _device("CPU", "CPUExecutionProvider")
    fake = _with_devices(monkeypatch, cpu, _device("GPU"), _device("GPU", f"{_EP}.AUTO"))
    plugin = _found(module)
    assert fake.registered == {}
    assert plugin.devices(_EP) == [fake.devices[1]]
    assert _found(module).devices(_EP) == [fake.devices[1]]
    assert list(fake.registered) == [module]
    assert fake.registered[module].endswith(f"{module}/__init__.py.so")


@pytest.mark.parametrize(
    ("which", "number"),
    [(None, 0), ("0", 0), ("2", 2), ("CPU", 0), ("gpu", 1), ("GPU.0", 1), ("GPU.1", 2), ("NPU", 3)],
)
def test_a_device_is_chosen(module: str, monkeypatch: pytest.MonkeyPatch, which: str | None, number: int) -> None:
    devices = [_device(kind) for kind in ("CPU", "GPU", "GPU", "NPU")]
    _with_devices(monkeypatch, *devices)
    options = FakeOptions()
    _found(module).add_to(options, _EP, which, {"load_config": "{}"})
    assert options.added == [([devices[number]], {"load_config": "{}"})]


@pytest.mark.parametrize("which", ["4", "GPU.2", "NPU.1", "TPU", "", "-1"])
def test_a_device_that_is_not_there_is_refused(module: str, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    _with_devices(monkeypatch, *(_device(kind) for kind in ("CPU", "GPU", "GPU", "NPU")))
    with pytest.raises(ProviderError, match=rf"device of fake-plugin 1\.2 '{which}' is unknown\..* Valid: 0, CPU\.0"):
        _found(module).add_to(FakeOptions(), _EP, which, {})


def test_a_machine_without_its_device_is_told(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_devices(monkeypatch, _device("CPU", "CPUExecutionProvider"))
    with pytest.raises(ProviderError, match=r"fake-plugin 1\.2 finds no device on this machine"):
        _found(module).add_to(FakeOptions(), _EP, None, {})


def test_a_library_that_does_not_load_says_why(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / module / "__init__.py").write_text("def get_library_path():\n    return 'broken'\n")
    _with_devices(monkeypatch, _device("GPU"))
    with pytest.raises(ProviderError, match=r"^fake-plugin 1\.2 cannot be loaded: .*libcuda\.so\.1: cannot open$"):
        _found(module).devices(_EP)


def test_a_package_without_the_entry_point_says_so(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / module / "__init__.py").write_text("")
    _with_devices(monkeypatch, _device("GPU"))
    with pytest.raises(ProviderError, match=r"cannot be loaded: .*no attribute 'get_library_path'"):
        _found(module).devices(_EP)


@pytest.mark.parametrize(
    ("kinds", "which", "own"), [(["CPU", "GPU"], "GPU", False), (["CPU"], "GPU", True), ([], None, True)]
)
def test_the_plugin_goes_before_the_provider_s_own_runtime_where_it_takes_the_device(
    module: str, monkeypatch: pytest.MonkeyPatch, kinds: list[str], which: str | None, own: bool
) -> None:
    _with_devices(monkeypatch, *map(_device, kinds))
    row = dataclasses.replace(provider_named("openvino"), ort_name=_EP, plugin=module)
    monkeypatch.setattr(type(row), "has_own_runtime", True)
    assert row.uses_own_runtime(which) is own
    monkeypatch.setattr(type(row), "has_own_runtime", False)
    assert not row.uses_own_runtime(which)


@pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime_ep_openvino") is None, reason="onnxruntime-ep-openvino is not installed"
)
@pytest.mark.parametrize("device", ["openvino", "openvino:CPU", "openvino:0"])
def test_the_bundled_model_runs_on_a_real_plugin(device: str) -> None:
    graph = open_bundle("fashion-mnist").folder / "unet" / "model.onnx"
    with pytest.warns(FallbackWarning, match="unet: openvino left 1 Attention of 107 working nodes to the CPU"):
        session = ddim_edge.Session(graph, device)
    assert session.provider == "openvino"
    raw: Any = session.raw
    assert raw.get_providers()[0] == "OpenVINOExecutionProvider"
    rng = np.random.default_rng(0)
    feeds = {
        "sample": rng.standard_normal((3, 1, 28, 28), np.float32),
        "timestep": np.array([5, 500, 999]),
        "class_labels": np.array([0, 5, 10]),
    }
    expected = ddim_edge.Session(graph, "cpu").run(feeds)["out_sample"]
    np.testing.assert_allclose(session.run(feeds)["out_sample"], expected, atol=2e-5)
