"""Tables of what was measured on GPUs, one per machine."""

from typing import Any

from .. import results
from ..results import Record
from .markdown import Row, as_table

NAMES = {
    "plain": "plain",
    "bound": "bound",
    "graph": "bound, CUDA graph",
    "fused": "fused step, CUDA graph",
    "eager": "diffusers, eager",
    "default": "diffusers, torch.compile",
    "max-autotune": "diffusers, max-autotune",
}
_HEADER = "network | batch |  | step, ms | p95 | eager takes | outside calls | GPU, MiB | of weights and activations"
_FORM = "{network} | {batch} | {name} | {step} | {p95} | {times} | {idle} | {memory} | {factor}"


def all_tables() -> str:
    """The tables of all machines, or a sentence that there are none."""
    paths = sorted(results.RESULTS.glob("gpu-*.json"))
    return "\n\n".join(machine(results.read(path.stem)) for path in paths) or "Not yet run on a GPU."


def machine(record: Record) -> str:
    """One machine's tables and sentences."""
    groups = record.get("groups", {}).values()
    parts = [f"### {record['gpu']}", as_table(_HEADER, _FORM, [line for group in groups for line in _lines(group)])]
    parts += [_soak(record["soak"])] if "soak" in record else []
    parts += [_profile(group) for group in groups if group.get("profile", {}).get("nodes")]
    reasons = [f"- {_title(group)}, {NAMES[row['side']]}: {row['reason']}" for group, row in _failed(groups)]
    parts += ["\n".join(["Not measured:", "", *reasons])] if reasons else []
    return "\n\n".join(parts)


def _failed(groups: Any) -> list[tuple[Record, Record]]:
    return [(group, row) for group in groups for row in group["rows"] if row["reason"]]


def _title(group: Record) -> str:
    return f"{group['model']} in {group['precision']}, batch {group['batch']}"


def _lines(group: Record) -> list[Row]:
    """One line per side that was measured, then the GPU's floor."""
    made = {row["side"]: row for row in group["rows"] if row["image_seconds"]}
    eager, floor = made.get("eager"), group.get("floor")
    lines = [_line(row, floor or {}, eager) for row in made.values()] + ([_floor(floor, eager)] if floor else [])
    place = {"network": f"{group['model']}, {group['precision']}", "batch": group["batch"]}
    return [place | line for line in lines]


def _line(row: Record, floor: Record, eager: Record | None) -> Record:
    step, idle, memory = row["step"], row["idle_share"], row["gpu_memory"]
    needed = floor.get("weights", 0) + floor.get("activations", 0)
    return {
        "name": NAMES[row["side"]] + (" (alone)" if row["facts"].get("alone") else ""),
        "step": f"{1000 * step['median']:.3g}",
        "p95": f"{1000 * step['p95']:.3g}",
        "times": _times(eager, step["median"]),
        "idle": "" if idle is None else f"{idle:.1%}",
        "memory": "" if memory is None else f"{memory / 2**20:.0f}",
        "factor": "" if memory is None or not needed else f"{memory / needed:.2f}",
    }


def _floor(floor: Record, eager: Record | None) -> Record:
    return {
        **dict.fromkeys(("p95", "idle", "memory", "factor"), ""),
        "name": f"the GPU's floor ({1000 * floor['roofline_seconds']:.3g} node by node)",
        "step": f"{1000 * floor['call_seconds']:.3g}",
        "times": _times(eager, floor["call_seconds"]),
    }


def _times(eager: Record | None, seconds: float) -> str:
    return "" if eager is None else f"{eager['step']['median'] / seconds:.2f}×"


def _soak(soak: Record) -> str:
    if not soak["generations"]:
        return f"Generations in a row: none, {soak['reason']}."
    grown = {name: soak[f"{name}_growth"] for name in ("resident", "gpu")}
    words = {name: "not told" if growth is None else f"{growth:+.2%}" for name, growth in grown.items()}
    return (
        f"{soak['generations']} generations in a row: the process's memory {words['resident']}, the GPU's "
        f"{words['gpu']}, from the end of the first twentieth to the end of the last."
    )


def _profile(group: Record) -> str:
    found = group["profile"]
    nodes = ", ".join(f"{name} {share:.0%}" for name, share in list(found["nodes"].items())[:8])
    return f"Of a call of {_title(group)}, plain, by kind of node: {nodes}."
