"""Checks on which provider the nodes of a session's graph run: the one that was named, or the CPU.

ONNX Runtime assigns nodes to the CPU without a warning where a provider has no kernel for them. It also assigns shape
arithmetic to the CPU, on purpose: its few integers are needed on the host. It reports operator types, not their inputs;
so the types that shape arithmetic uses (Shape, Gather, Concat, Add …) are never counted as work, and all others always.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from ...errors import ProviderError
from ...graphs.inputs import operators
from .onnxruntime_module import runtime
from .table import CPU, Provider

RECORD_PLACEMENT = ("session.record_ep_graph_assignment_info", "1")
"""The session's config entry that makes ONNX Runtime record the assignment."""

_RELEVANT_SHARE = 0.05

# They take nearly all of a network's time: Conv, FusedConv, Gemm, MatMulNBits, MultiHeadAttention, GroupNorm …
_HEAVY = re.compile(r"Conv|Gemm|MatMul|Einsum|Attention|Norm")
_SHAPE_ARITHMETIC = """
    Abs Add And ArgMax Cast CastLike Ceil Concat Constant ConstantOfShape CumSum Div Equal Expand Flatten Floor Gather
    GatherElements GatherND Greater GreaterOrEqual Identity If Less LessOrEqual Loop Max Min Mod Mul Neg NonZero Not Or
    Pow Range Reciprocal ReduceMax ReduceMin ReduceProd ReduceSum Reshape Round ScatterElements ScatterND Shape Sign
    Size Slice Split Sqrt Squeeze Sub Tile Transpose Trilu Unsqueeze Where
"""


def check_placement(
    raw: Any, provider: Provider, name: str, *, allow_fallback: bool, original: Path | None = None
) -> str | None:
    """Raise ProviderError where a relevant share of the work runs on the CPU, unless that is allowed.

    Relevant is, on a provider with its own memory, any convolution, matrix product, attention or normalisation: its
    input and output are copied over the bus, and the device waits. Relevant is also, on every provider, more than 5 %
    of the nodes that do work; a provider that computes in the host's memory needs no copies for a single node.

    Returns a remark where some nodes run on the CPU and that is no error, or where ONNX Runtime keeps no record (before
    1.24); None otherwise.

    Args:
        raw: ONNX Runtime's session, created with RECORD_PLACEMENT.
        provider: the provider that was named.
        name: the component's name, for the message.
        allow_fallback: return a remark in place of the error.
        original: the graph that an EPContext model was compiled from, to count its nodes: the model has only one.
    """
    if provider == CPU:
        return None
    if not hasattr(raw, "get_provider_graph_assignment_info"):
        version = runtime().__version__
        return f"{name}: onnxruntime {version} cannot tell what {provider.name} left to the CPU; 1.24 and newer can"
    work = {ep_name: _only_work(types) for ep_name, types in _assigned(raw).items()}
    left = work.pop(CPU.ort_name, Counter())
    if not left:
        return None
    total = left.total() + sum(types.total() for types in work.values())
    if original is not None:
        total = max(total, _only_work(operators(original)).total())
    found = f"{name}: {provider.name} left {_listed(left)} of {total} working nodes to the CPU"
    if allow_fallback or not _is_relevant(left, total, provider):
        return found
    raise ProviderError(f"{found}. Remedy: {_remedy(provider)}, or --allow-fallback")


def _assigned(raw: Any) -> dict[str, Counter[str]]:
    """For each provider, how many nodes of each operator type it has."""
    types: dict[str, Counter[str]] = {}
    for part in raw.get_provider_graph_assignment_info():
        types.setdefault(part.ep_name, Counter()).update(node.op_type for node in part.get_nodes())
    return types


def _only_work(types: Counter[str]) -> Counter[str]:
    return Counter({kind: number for kind, number in types.items() if kind not in _SHAPE_ARITHMETIC.split()})


def _is_relevant(left: Counter[str], total: int, provider: Provider) -> bool:
    if not provider.on_host and any(_HEAVY.search(kind) for kind in left):
        return True
    return left.total() > _RELEVANT_SHARE * total


def _listed(types: Counter[str]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in sorted(types.items(), key=lambda item: (-item[1], item[0])))


def _remedy(provider: Provider) -> str:
    if provider.export_target:
        return f"ddim-edge export --target {provider.name}"
    return "ddim-edge export --opset 20, whose operators more providers know"
