"""The tables of what was measured on GPUs, one a machine."""

from collections.abc import Mapping
from typing import Any

from .. import results
from ..markdown import as_table
from ..results import Record

NAMES = {
    "plain": "plain",
    "bound": "bound",
    "graph": "bound, CUDA graph",
    "fused": "fused step, CUDA graph",
    "eager": "diffusers, eager",
    "default": "diffusers, torch.compile",
    "max-autotune": "diffusers, max-autotune",
}
_HEADER = (
    "network",
    "batch",
    "",
    "step, ms",
    "p95",
    "eager takes",
    "outside calls",
    "GPU, MiB",
    "of weights and activations",
)


def all_tables() -> str:
    """Every machine's, or that there is none."""
    paths = sorted(results.RESULTS.glob("gpu-*.json"))
    return "\n\n".join(machine(results.read(path.stem)) for path in paths) or "Not yet run on a GPU."


def machine(record: Record) -> str:
    """One machine's tables and sentences."""
    groups = record.get("groups", {}).values()
    parts = [f"### {record['gpu']}", as_table(_HEADER, [line for group in groups for line in _lines(group)])]
    parts += [_soak(record["soak"])] if "soak" in record else []
    parts += [_profile(group) for group in groups if group.get("profile", {}).get("nodes")]
    reasons = [f"- {_title(group)}, {NAMES[row['side']]}: {row['reason']}" for group, row in _failed(groups)]
    parts += ["\n".join(["Not measured:", "", *reasons])] if reasons else []
    return "\n\n".join(parts)


def _failed(groups: Any) -> list[tuple[Record, Record]]:
    return [(group, row) for group in groups for row in group["rows"] if row["reason"]]


def _title(group: Record) -> str:
    return f"{group['model']} in {group['precision']}, batch {group['batch']}"


def _lines(group: Record) -> list[tuple[object, ...]]:
    made = {row["side"]: row for row in group["rows"] if row["image_seconds"]}
    eager = made.get("eager")
    lines = [_line(group, row, eager) for row in made.values()]
    floor = group.get("floor")
    return [*lines, _floor(group, floor, eager)] if floor else lines


def _line(group: Record, row: Record, eager: Record | None) -> tuple[object, ...]:
    step, memory, floor = row["step"], row["gpu_memory"], group.get("floor", {})
    needed = floor.get("weights", 0) + floor.get("activations", 0)
    return (
        f"{group['model']}, {group['precision']}",
        group["batch"],
        NAMES[row["side"]] + (" (alone)" if row["facts"].get("alone") else ""),
        f"{1000 * step['median']:.3g}",
        f"{1000 * step['p95']:.3g}",
        _times(eager, step["median"]),
        "" if row["idle_share"] is None else f"{row['idle_share']:.1%}",
        "" if memory is None else f"{memory / 2**20:.0f}",
        "" if memory is None or not needed else f"{memory / needed:.2f}",
    )


def _floor(group: Record, floor: Mapping[str, Any], eager: Record | None) -> tuple[object, ...]:
    text = f"the GPU's floor ({1000 * floor['roofline_seconds']:.3g} node by node)"
    place = f"{group['model']}, {group['precision']}", group["batch"]
    return (*place, text, f"{1000 * floor['call_seconds']:.3g}", "", _times(eager, floor["call_seconds"]), "", "", "")


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
