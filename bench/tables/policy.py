"""The tables of ``bench.policy``."""

from collections.abc import Iterator

from ..policy import EPISODES, PAIRED
from ..policy.paired import difference, wilson
from ..results import Record
from .markdown import as_lines

_LEAST = -0.03
"""What the success of 8 steps may be below that of 100."""


def policy(record: Record) -> str:
    """Success of every kind of cell, the paired comparison, times, and deadlines: what of it was measured."""
    cells = list(record["cells"].values())
    tables = [_steps(cells), _samplers(cells), _warm(cells), *_paired(cells)]
    tables += [_decisions(record["decisions"])] if "decisions" in record else []
    tables += [_deadlines(record["deadlines"])] if "deadlines" in record else []
    return "\n\n".join(table for table in tables if table)


def _rate(cell: Record) -> str:
    low, high = wilson(cell["successes"], cell["episodes"])
    return f"{cell['successes'] / cell['episodes']:.1%} ({low:.0%} to {high:.0%})"


def _plain(cells: list[Record]) -> list[Record]:
    """The cells of one size, without a warm start."""
    return [cell for cell in cells if cell["warm_start"] is None and cell["episodes"] == EPISODES]


def _steps(cells: list[Record]) -> str:
    """Ours beside torch, by the number of steps of DDIM."""
    ddim = [cell for cell in _plain(cells) if cell["sampler"] == "ddim"]
    by_side = {
        side: {cell["num_steps"]: cell for cell in ddim if cell["side"] == side}
        for side in ("ours", "torch", "regression", "planner")
    }
    lines = []
    for steps, ours in sorted(by_side["ours"].items()):
        beside = by_side["torch"].get(steps)
        texts = (f"{_rate(beside)} | {_only_one_failed(ours, beside)}") if beside else " | "
        lines.append(f"diffusion, {steps} | {_own(ours)} | {texts}")
    for side in ("regression", "planner"):
        lines += [f"{side} | {_own(cell)} |  | " for cell in by_side[side].values()]
    titles = "steps of DDIM | success | in 70 actions | actions | success in PyTorch | starts where only one failed"
    return as_lines(titles, lines)


def _own(cell: Record) -> str:
    return f"{_rate(cell)} | {cell['within'] / cell['episodes']:.1%} | {cell['actions']}"


def _only_one_failed(one: Record, other: Record) -> int:
    return len(set(one["failed_starts"]) ^ set(other["failed_starts"]))


def _samplers(cells: list[Record]) -> str:
    """Success by sampler and steps."""
    ours = [cell for cell in _plain(cells) if cell["side"] == "ours"]
    found = {(cell["sampler"], cell["num_steps"]): _rate(cell) for cell in ours}
    counts = [4, 8, 100]
    lines = [
        f"{name} | " + " | ".join(found.get((name, steps), "") for steps in counts)
        for name in dict.fromkeys(cell["sampler"] for cell in ours)
    ]
    return as_lines("sampler | " + " | ".join(f"{steps} steps" for steps in counts), lines)


def _warm(cells: list[Record]) -> str:
    warm = [cell for cell in cells if cell["warm_start"] is not None]
    lines = [f"{cell['num_steps']} | {cell['warm_start']:g} | {_calls(cell)} | {_rate(cell)}" for cell in warm]
    return as_lines("steps | warm start | network calls | success", lines) if lines else ""


def _calls(cell: Record) -> int:
    calls: int = round(cell["num_steps"] * cell["warm_start"])
    return calls


def _paired(cells: list[Record]) -> Iterator[str]:
    """8 steps beside 100, over the same starts."""
    large = {cell["num_steps"]: cell for cell in cells if cell["episodes"] == PAIRED}
    if {8, 100} <= large.keys():
        few, many = large[8], large[100]
        points, (low, high) = difference(few["failed_starts"], many["failed_starts"], PAIRED)
        between = f"{points:+.1%} ({low:+.1%} to {high:+.1%})"
        reached = "yes" if low >= _LEAST else "**no**"
        yield as_lines(
            f"success in {PAIRED} episodes | 8 steps | 100 steps | difference, 95 % interval | wanted | reached",
            [f" | {_rate(few)} | {_rate(many)} | {between} | at least {_LEAST:.0%} | {reached}"],
        )


def _decisions(rows: list[Record]) -> str:
    lines = []
    for row in rows:
        for kind, side in row["sides"].items():
            ratio = "" if kind == "ours" else f"{side['ratio']:.2f} ({side['pairs'][0]:.2f} to {side['pairs'][1]:.2f})"
            host = f"{row['host_share']:.1%}" if kind == "ours" else ""
            lines.append(
                f"{row['robots']} | {kind} | {side['p50']} | {side['p95']} | {side['p99']} | "
                f"{side['decisions_per_second']} | {ratio} | {host}"
            )
    return as_lines("robots | side | p50, ms | p95, ms | p99, ms | decisions/s | times ours | host's share", lines)


def _deadlines(rows: list[Record]) -> str:
    lines = [
        f"{row['deadline_ms']:g} | {_rate(row)} | {'' if row['steps'] is None else row['steps']} | "
        f"{row['late']} of {row['decisions']} | {row['refused']}"
        for row in rows
    ]
    return as_lines("deadline, ms | success | steps | late decisions | episodes refused", lines)
