"""Precisions: what a provider may compute float32 graphs in. A graph in fp16 computes in fp16, whatever is allowed."""

from collections.abc import Sequence

from ...errors import ConfigError, ProviderError, choose_from
from .table import PROVIDERS, Provider

FLOAT32 = "float32"
"""The default: a seed gives the same image on every device."""
CHOSEN_BY_PROVIDER = "auto"
PRECISIONS = (FLOAT32, "bfloat16", "float16", CHOSEN_BY_PROVIDER)
INT8 = "int8"
"""TensorRT's alone, for graphs with the scales for it."""

SHORT = {FLOAT32: "fp32", "bfloat16": "bf16", "float16": "fp16"}
"""The names in the records of what is compiled; --precision takes them, too."""
_LONG = {name: precision for precision, name in SHORT.items()}


def precision_named(name: str) -> str:
    """A precision by one of its names, such as "fp16". Raises ConfigError for an unknown one."""
    known = _LONG.get(name, name)
    if known not in (*PRECISIONS, INT8):
        raise ConfigError(choose_from("precision", name, (*PRECISIONS, INT8)))
    return known


def short(precision: str) -> str:
    """A precision as records have it, such as fp16; auto is auto."""
    return SHORT.get(precision, precision)


def check_precision(provider: Provider | None, precision: str) -> None:
    """Raise ProviderError for a precision that a provider cannot be told; ``provider``: None for auto."""
    if precision in (FLOAT32, CHOSEN_BY_PROVIDER):
        return
    can = [row.name for row in PROVIDERS if precision in row.precisions]
    if provider is None:
        measure = f"ddim-edge build MODEL --provider auto --precision {precision}"
        raise ProviderError(
            f"precision {precision} needs a provider by name, --provider {_either(can)}, or to be measured: {measure}"
        )
    if precision not in provider.precisions:
        known = ", ".join((FLOAT32, *provider.precisions)) if provider.precisions else "the types of the graph"
        raise ProviderError(f"{provider.name} computes in {known}, not in {precision}: use --provider {_either(can)}")


def _either(names: Sequence[str]) -> str:
    return " or ".join(names)
