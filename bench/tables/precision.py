"""The tables of what a precision costs."""

from collections.abc import Iterable, Mapping

from ..results import Record
from .markdown import as_lines, as_table

_SAME = "{name} | {median} | {low} | {lowest} | {equal_pixels:.2%} | {largest}"
_SAME_HEADER = "PSNR in dB, median | lowest of 95 % | lowest | pixels that are equal | largest difference, grey levels"
_JUDGED = {
    "distance": ("labels right | Fréchet distance", "{label_accuracy:.2%} | {distance:.4f}"),
    "top_1": ("own picture nearest | among the five nearest", "{top_1:.2%} | {top_5:.2%}"),
}


def precision(record: Record) -> str:
    """For each model: both sides judged and compared, then the difference by step."""
    return "\n\n".join(_model(name, record, found) for name, found in record["models"].items())


def _model(name: str, record: Record, found: Record) -> str:
    title = (
        f"`{name}`, {found['num_images']} images in {record['steps']} steps of its own sampler, guidance "
        f"{found['guidance_scale']:g}; the images beside those of the first row:"
    )
    rows = [{"name": side, **_flat(facts)} for side, facts in found["sides"].items()]
    header, form = next(_JUDGED[key] for key in _JUDGED if key in rows[0])
    table = as_table(f" | {header} | {_SAME_HEADER}", _SAME.replace("{name}", f"{{name}} | {form}"), rows)
    steps = (
        f"Relative root mean square of the difference by step, {record['trajectories']} images: of the prediction for "
        "the same sample, and of the sample, each side on its own trajectory (0: the initial noise):"
    )
    return f"{title}\n\n{table}\n\n{steps}\n\n{_steps(found['steps'], record['steps'])}"


def _flat(facts: Record) -> Record:
    psnr = facts["psnr"] or {}
    return {**facts, **{name: f"{psnr[name]:.1f}" if psnr else "∞" for name in ("median", "low", "lowest")}}


def _steps(sides: Mapping[str, list[Record]], last: int) -> str:
    shown = sorted({0, 1, last // 4, last // 2, 3 * last // 4, last - 1, last})
    lines = (
        f"{side}, {what} | {' | '.join(_figures(rows, shown, what))}"
        for side, rows in sides.items()
        for what in ("prediction", "sample")
    )
    return as_lines(" | ".join(["at step", *map(str, shown)]), lines)


def _figures(rows: list[Record], shown: Iterable[int], what: str) -> list[str]:
    by_step = {row["step"]: row[what] for row in rows}
    return ["" if by_step.get(step) is None else f"{by_step[step]:.1e}" for step in shown]
