"""The options --keep-fp32 and --fp32-too: which components are exported in fp32 instead of, or besides, fp16."""

from collections.abc import Collection
from dataclasses import dataclass

from ddim_edge.errors import ConfigError, choose_from

from .precision import BF16, FP32, Precision

_ALL = "all"
_KEEP, _TOO = "--keep-fp32", "--fp32-too"


@dataclass(frozen=True, kw_only=True)
class Fp32Fallbacks:
    """Names of components."""

    fp32_only: frozenset[str] = frozenset()
    """Components whose only graph is in fp32."""
    fp32_too: frozenset[str] = frozenset()
    """Components with model.fp32.onnx beside the model.onnx in fp16."""


def read_fp32_fallbacks(
    keep_fp32: Collection[str], fp32_too: Collection[str], *, components: Collection[str], precision: Precision
) -> Fp32Fallbacks:
    """Check both options against the exported ``components`` and the ``precision``.

    "all" in ``fp32_too`` means all components that are not in ``keep_fp32``. ConfigError for an unknown name, for a
    name in both options, and for a precision that the options do not apply to.
    """
    _check_precision(precision, keep=bool(keep_fp32), too=bool(fp32_too))
    for name in keep_fp32:
        if name not in components:
            raise ConfigError(choose_from(f"{_KEEP} component", name, components))
    for name in fp32_too:
        if name not in (*components, _ALL):
            raise ConfigError(choose_from(f"{_TOO} component", name, (*components, _ALL)))
        if name in keep_fp32:
            raise ConfigError(f"{name} is named by {_KEEP} and by {_TOO}: leave it out of one of them")
    kept = frozenset(keep_fp32)
    return Fp32Fallbacks(
        fp32_only=kept, fp32_too=frozenset(components) - kept if _ALL in fp32_too else frozenset(fp32_too)
    )


def _check_precision(precision: Precision, *, keep: bool, too: bool) -> None:
    if precision is FP32 and (keep or too):
        raise ConfigError(
            f"{_KEEP if keep else _TOO}: everything is in fp32 already; add --dtype fp16, or leave it out"
        )
    if precision is BF16 and too:
        raise ConfigError(f"{_TOO} is for values that overflow in fp16, and bf16 has the range of fp32: leave it out")
