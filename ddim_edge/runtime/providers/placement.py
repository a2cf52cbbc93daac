"""Where the nodes of a session's graph went: to the provider that was asked for, or to the CPU.

ONNX Runtime gives the CPU what a provider has no kernel for, and says nothing. It also gives it the arithmetic of
shapes, on purpose: its few integers are wanted on the host. What it tells is operator types, not what they compute on;
so types that such arithmetic consists of (Shape, Gather, Concat, Add …) never count as work, and all others always do.
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
"""The entry of the session's configuration without which ONNX Runtime keeps no record to read here."""

_RELEVANT_SHARE = 0.05

# Where nearly all of a network's time goes: Conv, FusedConv, Gemm, MatMulNBits, MultiHeadAttention, GroupNorm …
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
    """Raise ProviderError where a relevant share of the work went to the CPU, unless that is allowed.

    Relevant is, on a provider with a memory of its own, any convolution, matrix product, attention or normalisation:
    each one's input and output cross the bus, and everything waits. It is also, on every provider, more than 5 % of the
    nodes that do work: where the provider computes in the host's memory a lone node costs no more than its own time.

    Returns a remark where something was left to the CPU and that is no error, or where it cannot be known because this
    ONNX Runtime keeps no record (before 1.24); None where all is well.

    raw: ONNX Runtime's session, made with RECORD_PLACEMENT. name: the component's, for the message. original: the
    graph that an EPContext model was compiled of, which has one node in the place of hundreds.
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
    """Each provider's operator types with their numbers."""
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
