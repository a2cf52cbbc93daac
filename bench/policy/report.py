"""The tables of bench/results/policy.json, in Markdown."""

from collections.abc import Iterator
from typing import Any

from .episodes import Rate


def table(record: dict[str, Any]) -> str:
    """All tables."""
    return "\n".join([*_success(record.get("success", {})), "", *_latency(record.get("latency", {}))])


def _success(found: dict[str, Any]) -> Iterator[str]:
    if not found:
        return
    yield f"| {found['episodes']} starts | reached, % (95 % interval) | actions to the goal | calls a decision |"
    yield "| --- | --- | --- | --- |"
    for name, cell in found["cells"].items():
        calls = cell.get("calls_a_decision", "")
        yield f"| {name} | {Rate(**cell['success'])} | {cell['steps_to_goal'] or ''} | {calls} |"
    paired = found["paired"]
    rates = ", ".join(f"{steps} steps {Rate(**rate)}" for steps, rate in paired["rates"].items())
    yield ""
    yield f"{paired['episodes']} paired starts: {rates}; 8 less 100 steps {Rate(**paired['difference'])} points"


def _latency(found: dict[str, Any]) -> Iterator[str]:
    if not found:
        return
    yield "| robots | side | p50, ms | p95, ms | p99, ms | decisions a second | host share |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for batch, sides in found.items():
        for name, cell in sides.items():
            values = (cell[key] for key in ("p50_ms", "p95_ms", "p99_ms", "decisions_a_second"))
            yield f"| {batch} | {name} | {' | '.join(map(str, values))} | {cell.get('host_share', '')} |"
