"""The tables of scheduler classes in docs/samplers.md, made of the code: ``python -m`` this module writes them."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import diffusers

from ddim_edge.config import FlowSolverConfig
from ddim_edge.config.diffusers_keys import _BY_CLASS as OWN_KEYS
from ddim_edge.config.diffusers_keys import _FIELD_OF_KEY, _SUPPORTED_VALUES, _THRESHOLDING
from ddim_edge.config.diffusers_names import _KNOWN
from ddim_edge.config.flow_keys import with_flow_sigmas
from ddim_edge.config.refused_schedulers import REFUSED
from ddim_edge.diffusion.samplers.table import BY_CLASS, FLOW_SOLVERS, SamplerConfig

from . import test_convergence, test_ddim_inverse
from .test_classes_beside_diffusers import CASES

DOCUMENT = Path(__file__).parents[3] / "docs" / "samplers.md"
TOLERANCES = {
    "DDIMInverseScheduler": test_ddim_inverse.TOLERANCE,
    **{case.name: max(one.tolerance for one in CASES if one.name == case.name) for case in CASES},
}
"""The largest tolerance of each class in its comparison with diffusers."""


def classes() -> str:
    """A row for each class that is accepted."""
    header = "class in the file | sampler | options without effect | values that are refused | tolerance | order"
    betas = ((f"`{name}`", name, config, config.scheduler_class) for name, config in BY_CLASS.items())
    flow = (
        (f"`{name}` with `use_flow_sigmas`", name, config, with_flow_sigmas(name))
        for name, config in FLOW_SOLVERS.items()
    )
    lines = (
        f"{label} | `{config.name}` | {_without_effect(name, config, keys)} | {_refused(name, keys)} | "
        f"{TOLERANCES[name]:.0e} | {_orders().get(config.name, '')}"
        for label, name, config, keys in sorted((*betas, *flow), key=lambda row: row[0])
    )
    return _table(header, lines)


def refused() -> str:
    """A row for each class that is refused."""
    return _table("class in the file | why it is not built here", (f"`{n}` | {REFUSED[n]}" for n in sorted(REFUSED)))


def written(text: str) -> str:
    """``text`` with these tables in place of those with the same header."""
    for table in (classes(), refused()):
        header = table.partition("\n")[0]
        old = re.search(rf"{re.escape(header)}\n(?:\|.*\n)*", text)
        assert old is not None, f"the document has no table with the header {header}"
        text = text.replace(old[0], f"{table}\n")
    return text


def _table(header: str, lines: Iterable[str]) -> str:
    rule = " | ".join(["---"] * (header.count("|") + 1))
    return "\n".join(f"| {line} |" for line in (header, rule, *lines))


def _parameters(name: str) -> list[str]:
    return [key for key in inspect.signature(getattr(diffusers, name)).parameters if key != "kwargs"]


def _without_effect(name: str, config: type[SamplerConfig], keys: str) -> str:
    """``keys``: the name under which the values of the file's keys are listed."""
    fields = {**_FIELD_OF_KEY, **_THRESHOLDING, "flow_shift": "shift"}
    read = {key for key, field in fields.items() if hasattr(config, field)}
    if hasattr(config, "dynamic_threshold_ratio"):
        read |= _THRESHOLDING.keys()
    if issubclass(config, FlowSolverConfig):  # their spacing is that of the betas
        read = read - {"timestep_spacing"} | {"use_flow_sigmas"}
    read |= OWN_KEYS.get(keys, {}).keys() | _SUPPORTED_VALUES.get(keys, {}).keys()
    return _listed(key for key in _parameters(name) if key not in read)


def _refused(name: str, keys: str) -> str:
    supported = {key: values for key, values in _SUPPORTED_VALUES.get(keys, {}).items() if key != "use_flow_sigmas"}
    own = OWN_KEYS.get(keys, {})
    known = {key: _unbuilt(key, values) for key, (_, values) in own.items() if _unbuilt(key, values)}
    return "; ".join(
        [
            *(
                f"`{key}` other than {_listed(map(str, supported[key]))}"
                for key in _parameters(name)
                if key in supported
            ),
            *(f"`{key}` {_listed(values)}" for key, values in known.items()),
        ]
    )


def _unbuilt(key: str, values: Mapping[Any, Any]) -> list[str]:
    return [value for value in _KNOWN.get(key, ()) if value not in values]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _orders() -> dict[str, str]:
    """The highest order of convergence that is observed, by sampler."""
    found: dict[str, float] = {}
    for config, order in _observed():
        found[config.name] = max(order, found.get(config.name, 0))
    return {name: f"{order:g}" for name, order in found.items()}


def _observed() -> Iterator[tuple[Any, float]]:
    for test in vars(test_convergence).values():
        for mark in getattr(test, "pytestmark", ()) if inspect.isfunction(test) else ():
            if mark.name == "parametrize" and mark.args[0] == ("config", "order"):
                yield from mark.args[1]


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
