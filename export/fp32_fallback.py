"""Which components of an export in fp16 or bf16 stay in fp32, and which are there in fp32, too."""

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
    """Those whose only graph is in fp32."""
    fp32_too: frozenset[str] = frozenset()
    """Those whose graph in fp16 has its fp32 form beside it."""


def read_fp32_fallbacks(
    keep_fp32: Collection[str], fp32_too: Collection[str], *, components: Collection[str], precision: Precision
) -> Fp32Fallbacks:
    """What was asked for, of the ``components`` that are exported in ``precision``.

    "all" in ``fp32_too`` means those that are not kept in fp32. ConfigError for a name that is not there, for one in
    both, and where the precision leaves nothing to choose.
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
            f"{_KEEP if keep else _TOO}: all of it is in fp32 anyway; give --dtype fp16, too, or leave it out"
        )
    if precision is BF16 and too:
        raise ConfigError(f"{_TOO} is for what overflows in fp16, and bf16 reaches as far as fp32: leave it out")
