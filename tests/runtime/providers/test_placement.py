"""What a provider leaves to the CPU is an error where it matters, a remark where it does not, and never silence."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from ddim_edge.bundle.read import open_bundle
from ddim_edge.errors import ProviderError
from ddim_edge.runtime.providers.placement import RECORD_PLACEMENT, check_placement
from ddim_edge.runtime.providers.table import PROVIDERS, Provider

_ROWS = {provider.name: provider for provider in PROVIDERS}
# What ONNX Runtime's CUDA provider leaves to the CPU of a graph that is otherwise its own.
_SHAPES = {"Squeeze": 2, "Add": 4, "Div": 23, "Mul": 1, "Reshape": 3, "Concat": 25, "Gather": 4, "Slice": 12}


def _session(provider: Provider, taken: Mapping[str, int], left: Mapping[str, int]) -> Any:
    """As ONNX Runtime gives it: here every node is a part of its own."""
    parts = [
        SimpleNamespace(ep_name=ep_name, get_nodes=lambda kind=kind: [SimpleNamespace(op_type=kind)])
        for ep_name, types in ((provider.ort_name, taken), ("CPUExecutionProvider", left))
        for kind, number in types.items()
        for _ in range(number)
    ]
    return SimpleNamespace(get_provider_graph_assignment_info=lambda: parts)


def _check(name: str, taken: Mapping[str, int], left: Mapping[str, int], *, allow_fallback: bool = False) -> str | None:
    session = _session(_ROWS[name], taken, left)
    return check_placement(session, _ROWS[name], "unet", allow_fallback=allow_fallback)


def test_the_error_names_the_component_the_operators_and_the_remedy() -> None:
    with pytest.raises(ProviderError) as caught:
        _check("cuda", {"Conv": 36, "Sigmoid": 25, "Shape": 17}, {"InstanceNormalization": 24, "Resize": 3, **_SHAPES})
    assert str(caught.value) == (
        "unet: cuda left 24 InstanceNormalization, 3 Resize of 88 working nodes to the CPU. "
        "Remedy: ddim-edge export --target cuda, or --allow-fallback"
    )


@pytest.mark.parametrize(
    "kind", ["Conv", "FusedConv", "Gemm", "MatMulNBits", "MultiHeadAttention", "GroupNorm", "LayerNormalization"]
)
def test_one_heavy_node_is_too_many_where_it_means_a_way_over_the_bus(kind: str) -> None:
    with pytest.raises(ProviderError, match=f"left 1 {kind} of 1001"):
        _check("cuda", {"Conv": 1000}, {kind: 1})


def test_the_arithmetic_of_shapes_is_no_work() -> None:
    assert _check("cuda", {"Conv": 36}, _SHAPES) is None


def test_a_twentieth_of_lighter_work_is_a_remark_and_more_is_an_error() -> None:
    assert _check("cuda", {"Conv": 95}, {"Resize": 5}) == "unet: cuda left 5 Resize of 100 working nodes to the CPU"
    with pytest.raises(ProviderError, match="left 6 Resize of 100"):
        _check("cuda", {"Conv": 94}, {"Resize": 6})


def test_on_the_host_a_heavy_node_counts_as_any_other() -> None:
    assert _check("openvino", {"Conv": 99}, {"Attention": 1}) == (
        "unet: openvino left 1 Attention of 100 working nodes to the CPU"
    )
    with pytest.raises(ProviderError, match=r"left 24 InstanceNormalization of 60 .* --opset 20, whose operators"):
        _check("openvino", {"Conv": 36}, {"InstanceNormalization": 24})


def test_a_fallback_that_is_allowed_is_told() -> None:
    assert _check("tensorrt", {}, {"Conv": 36}, allow_fallback=True) == (
        "unet: tensorrt left 36 Conv of 36 working nodes to the CPU"
    )


def test_an_older_onnxruntime_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "__version__", "1.23.2")
    remark = check_placement(SimpleNamespace(), _ROWS["cuda"], "unet", allow_fallback=False)
    assert remark == "unet: onnxruntime 1.23.2 cannot tell what cuda left to the CPU; 1.24 and newer can"


def test_the_cpu_has_nothing_to_leave() -> None:
    assert _check("cpu", {}, {"Conv": 36}) is None


def test_onnxruntime_tells_what_is_read_here() -> None:
    """A session on the CPU alone, looked at as if CUDA had been asked for: all of its work is left to the CPU."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(*RECORD_PLACEMENT)
    graph = open_bundle("fashion-mnist").folder / "unet" / "model.onnx"
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    told = check_placement(session, _ROWS["cuda"], "unet", allow_fallback=True)
    assert told is not None
    assert "36 Conv" in told
    assert "24 LayerNormalization" in told
    assert "Shape" not in told
