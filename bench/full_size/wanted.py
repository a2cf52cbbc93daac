"""What was wanted of ddim-edge at this size, beside what was measured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .measure import Record

Sides = Mapping[str, Any]
_GUIDED = ("sd-20", "sd-4", "sd-1")
"""Where a guided step is read: from the longest run that was made, of both sides where two are compared."""
_MIB_IN_GB = 1e9 / 2**20


class Wanted(NamedTuple):
    """A figure and its bound. ``value`` raises KeyError where what it needs was not measured."""

    title: str
    bound: float
    unit: str
    value: Callable[[Sides], float]


def _ratio(ours: str, theirs: str) -> Callable[[Sides], float]:
    def value(sides: Sides) -> float:
        workload = next((name for name in _GUIDED if _has(sides, name, ours, theirs)), _GUIDED[-1])
        mine, other = (sides[side]["runs"][workload]["step_seconds"] for side in (ours, theirs))
        return float(mine / other)

    return value


def _has(sides: Sides, workload: str, *names: str) -> bool:
    return all(workload in sides[name]["runs"] for name in names)


def _all_steps(ours: str, theirs: str) -> Callable[[Sides], float]:
    return lambda sides: float(sides[ours]["runs"]["sd-20"]["all_steps"] / sides[theirs]["runs"]["sd-20"]["all_steps"])


def _private(side: str) -> Callable[[Sides], float]:
    return lambda sides: max(sides[side]["runs"][name]["private_mib"] for name in _made(sides, side)) / _MIB_IN_GB


def _beyond_the_step(side: str) -> Callable[[Sides], float]:
    """Seconds from the start to the end of the first step, less 1.15 steps."""

    def value(sides: Sides) -> float:
        runs = sides[side]["runs"]
        return float(runs["sd-1"]["first_step_after"] - 1.15 * runs[_made(sides, side)[0]]["step_seconds"])

    return value


def _made(sides: Sides, side: str) -> list[str]:
    """The guided workloads that this side has run. Raises KeyError where there is none."""
    names = [name for name in _GUIDED if name in sides[side]["runs"]]
    if not names:
        raise KeyError(side)
    return names


WANTED = (
    Wanted("a guided step in bfloat16, of diffusers' in float32", 0.5, "", _ratio("ours-bf16", "diffusers")),
    Wanted("a guided step in bfloat16, of diffusers' in bfloat16", 0.8, "", _ratio("ours-bf16", "diffusers-bf16")),
    Wanted("a guided step in bfloat16, of OpenVINO's alone", 1.03, "", _ratio("ours-bf16", "openvino-bf16")),
    Wanted("a guided step in float32, of OpenVINO's alone", 1.03, "", _ratio("ours-openvino", "openvino")),
    Wanted("a guided step in float32, of diffusers' in float32", 0.95, "", _ratio("ours", "diffusers")),
    Wanted("private memory of a whole run", 2.0, "GB", _private("ours")),
    Wanted("private memory with --max-memory 1.2GB", 1.2, "GB", _private("ours-memory")),
    Wanted("start to the end of the first step, less 1.15 steps: float32", 2.0, "s", _beyond_the_step("ours")),
    Wanted("start to the end of the first step, less 1.15 steps: bfloat16", 2.0, "s", _beyond_the_step("ours-bf16")),
)

WANTED_OF_CACHES = (
    Wanted(
        "20 guided steps in float32 with --cache deep:3, of those without", 0.45, "", _all_steps("ours-deep", "ours")
    ),
    Wanted(
        "20 guided steps in bfloat16 with --cache deep:3, of those without",
        0.45,
        "",
        _all_steps("ours-bf16-deep", "ours-bf16"),
    ),
)


def verdicts(sides: Sides, wanted: Sequence[Wanted] = WANTED) -> list[Record]:
    """A line for each figure that can be computed."""
    lines = list[Record]()
    for each in wanted:
        try:
            value = each.value(sides)
        except KeyError:
            continue
        lines.append({"title": each.title, "value": round(value, 3), "bound": each.bound, "unit": each.unit})
    return lines
