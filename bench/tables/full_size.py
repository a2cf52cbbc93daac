"""The tables of Stable Diffusion's size on a CPU."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..results import Record
from .markdown import Row, as_lines, as_table

_HEADER = (
    " | a guided step, s | to diffusers' in float32 | 1 step, s | 4 steps, s | 20 steps, s | first step after, s | "
    "private, GB | mapped, GB | weights, GB | site-packages, MB | latents: RMS / largest"
)
_FORM = (
    "{title} | {step} | {ratio} | {sd-1} | {sd-4} | {sd-20} | {first} | {private} | {mapped} | {weights} | "
    "{site_packages} | {apart}"
)
_OTHERS_HEADER = " | 4 steps without guidance, s | of it after the last step, s | 64 pixels: a step, ms | 20 steps, s"
_OTHERS_FORM = "{title} | {lcm-4} | {after} | {pixel_step} | {pixels-20}"
_CACHES_HEADER = (
    " | 20 guided steps without text and VAE, s | without a cache, s | share | private, GB | latents to diffusers': RMS"
)
_WORKLOADS = ("sd-1", "sd-4", "sd-20", "lcm-4", "pixels-20")
_GUIDED = ("sd-4", "sd-1", "sd-20")
"""The workloads with guided steps."""
_STEADY = ("sd-4", "sd-20")
"""Where a guided step is read: the first of these that was run. The only step of a run also warms up, or compiles."""
_REFERENCE = "diffusers"
_GB_OF_MIB = 2**20 / 1e9


def full_size(record: Record) -> str:
    """All tables and sentences."""
    rows = [_row(side, record["sides"]) for side in record["sides"].values() if _has_guided(side)]
    others = [_other_row(side) for side in record["sides"].values() if side["runs"].keys() & {"lcm-4", "pixels-20"}]
    parts = [as_table(_HEADER, _FORM, rows)]
    parts += [as_table(_OTHERS_HEADER, _OTHERS_FORM, others)] if others else []
    parts += [_wanted(record["wanted"])] if record["wanted"] else []
    parts += _not_measured(record["sides"])
    return "\n\n".join([*parts, _versions(record["sides"].values())])


def _has_guided(side: Record) -> bool:
    return any(name in side["runs"] for name in _GUIDED)


def _not_measured(sides: Mapping[str, Record]) -> list[str]:
    """The reasons of the sides that could not be measured, as a list of one text; empty where there is none."""
    reasons = [f"- {side['title']}: {side['reason']}" for side in sides.values() if "reason" in side]
    return ["\n".join(["Not measured:", "", *reasons])] if reasons else []


def _guided_step(side: Record) -> float | None:
    """Seconds of a guided step; None where no run of several was made."""
    return next((side["runs"][name]["step_seconds"] for name in _STEADY if name in side["runs"]), None)


def _row(side: Record, sides: Mapping[str, Record]) -> Row:
    step, reference = _guided_step(side), _guided_step(sides.get(_REFERENCE, {"runs": {}}))
    runs = [side["runs"][name] for name in _GUIDED if name in side["runs"]]
    first = next((side["runs"][name]["first_step_after"] for name in ("sd-1", "sd-4") if name in side["runs"]), None)
    apart = next((run for run in runs if "rms" in run), None)
    return {
        **_seconds(side),
        "step": _text(step, ".2f"),
        "ratio": _text(step and reference and step / reference, ".2f"),
        "first": _text(first, ".1f"),
        "private": f"{max(run['private_mib'] for run in runs) * _GB_OF_MIB:.2f}",
        "mapped": f"{max(run['mapped_mib'] for run in runs) * _GB_OF_MIB:.2f}",
        "weights": f"{side['weights_mb'] / 1000:.1f}",
        "site_packages": side["site_packages_mb"],
        "apart": f"{apart['rms']:.1e} / {apart['largest']:.1e}" if apart else "",
    }


def _other_row(side: Record) -> Row:
    pixels = side["runs"].get("pixels-20", {}).get("step_seconds")
    return {
        **_seconds(side),
        "after": _text(side["runs"].get("lcm-4", {}).get("after_steps"), ".1f"),
        "pixel_step": _text(pixels and 1000 * pixels, ".0f"),
    }


def full_size_caches(record: Record) -> str:
    """The table of ``--caches``."""
    sides, lines = record["sides"], []
    for cached, plain in record["plain"].items():
        run, without = (sides[name]["runs"].get("sd-20") for name in (cached, plain))
        if run and without:
            seconds, all_seconds = run["all_steps"], without["all_steps"]
            private = run["private_mib"] * _GB_OF_MIB
            share = seconds / all_seconds
            apart = f"{run['rms']:.2g}" if "rms" in run else ""
            lines.append(
                f"{sides[cached]['title']} | {seconds:.1f} | {all_seconds:.1f} | {share:.2f} | {private:.2f} | {apart}"
            )
    parts = [as_lines(_CACHES_HEADER, lines)] * bool(lines) + [_wanted(record["wanted"])] * bool(record["wanted"])
    return "\n\n".join([*parts, *_not_measured(sides), _versions(sides.values())])


def _seconds(side: Record) -> dict[str, Any]:
    """A whole process of each workload, where it was run."""
    seconds = {name: side["runs"].get(name, {}).get("seconds") for name in _WORKLOADS}
    return {"title": side["title"], **{name: _text(value, ".1f") for name, value in seconds.items()}}


def _text(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _wanted(lines: Iterable[Record]) -> str:
    """What was wanted, and whether it was reached."""
    texts = (
        f"{line['title']} | {line['value']:.2f} {line['unit']} | {line['bound']:g} {line['unit']} | "
        + ("yes" if line["value"] <= line["bound"] else "**no**")
        for line in lines
    )
    return as_lines(" | measured | wanted at most | reached", texts)


def _versions(sides: Iterable[Record]) -> str:
    """The versions of what runs in environments of their own."""
    found = {name: version for side in sides for name, version in side.get("versions", {}).items()}
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items())) + "."


def headline(record: Record) -> str:
    """The few rows of docs/stable-diffusion.md."""
    header = " | a step | 20 steps | private memory | start to the end of the first step"
    names = ("ours-bf16", "ours", "diffusers-bf16", "diffusers")
    sides = [record["sides"][name] for name in names if name in record["sides"]]
    lines = []
    for side in sides:
        if _guided_step(side):
            row = _row(side, record["sides"])
            whole = f"{row['sd-20']} s" if row["sd-20"] else "not measured"
            lines.append(f"{side['title']} | {row['step']} s | {whole} | {row['private']} GB | {row['first']} s")
    return as_lines(header, lines)
