"""Tables of speed, memory and size."""

from collections.abc import Iterator

from ..results import Record
from .markdown import Row, as_range, as_table


def overhead(record: Record) -> str:
    header = (
        " | steps | batch | runs | µs a step outside, median | lowest to highest | share of the run | "
        "lowest to highest | wanted at most"
    )
    form = (
        "{name} | {num_steps} | {batch_size} | {runs} | {microseconds:.0f} | "
        "{microseconds_range[0]:.0f} to {microseconds_range[1]:.0f} | {share:.2%} | "
        "{range[0]:.2%} to {range[1]:.2%} | {wanted}"
    )
    return as_table(header, form, [{**row, "wanted": _wanted_host_time(row)} for row in record["rows"]])


def _wanted_host_time(row: Row) -> str:
    return f"{row['wanted_share']:.0%}" if row["wanted_us"] is None else f"{row['wanted_us']:.0f} µs"


def throughput(record: Record) -> str:
    header = "batch | steps |  | images/s | ours is faster by | pair by pair | wanted at least | peak memory"
    form = (
        "{batch_size} | {num_steps} | {name} | {images_per_second:.2f} | {ratio} | {pairs} | {wanted} | {peak_mib} MiB"
    )
    return as_table(header, form, [line for row in record["rows"] for line in _throughput_lines(row)])


def _throughput_lines(row: Record) -> Iterator[Row]:
    names = {"ours": "ddim-edge", "eager": "diffusers, eager", "compiled": "diffusers, torch.compile"}
    wanted = {"eager": f"{row['bar']:g}", "compiled": "1"}
    for kind, side in row["sides"].items():
        yield {**row, **side, **_compared(kind, side, ".2f", wanted), "name": names[kind]}


def _compared(kind: str, side: Record, form: str, wanted: dict[str, str]) -> Row:
    """A baseline's ratio to ours, and the one that was wanted; empty for ours itself."""
    if kind == "ours":
        return {"ratio": "", "pairs": "", "wanted": ""}
    return {"ratio": f"{side['ratio']:{form}}", "pairs": as_range(side["pairs"], form), "wanted": wanted[kind]}


def startup(record: Record) -> str:
    header = " | median | times longer | pair by pair | wanted at least | peak memory"
    form = "{name} | {seconds:.2f} s | {ratio} | {pairs} | {wanted} | {peak_mib} MiB"
    names, wanted = {"ours": "ddim-edge", "diffusers": "diffusers"}, {"diffusers": f"{record['bar']:g}"}
    rows = [
        {**side, **_compared(kind, side, ".1f", wanted), "name": names[kind]} for kind, side in record["sides"].items()
    ]
    return as_table(header, form, rows)


def size(record: Record) -> str:
    sides = {kind: {**side, "count": len(side["packages"])} for kind, side in record["sides"].items()}
    rows = [
        {**sides["ours"], "name": "ddim-edge[cpu]", "compared": " | "},
        {
            **sides["diffusers"],
            "name": "torch (CPU) and diffusers",
            "compared": "{ratio:.1f} | {bar:g}".format_map(record),
        },
    ]
    header = " | site-packages | packages | times larger | wanted at least"
    return as_table(header, "{name} | {mb:.0f} MB | {count} | {compared}", rows)


def interval(record: Record) -> str:
    low, high = record["interval"]
    saved = f"{record['saved']:.1%} | {as_range(record['range'], '.1%')}"
    texts = {"everywhere": ("everywhere", " | "), "interval": (f"{low:g} to {high:g}", saved)}
    rows = [
        {"where": where, "rows": record["rows_per_image"][kind], "seconds": record["seconds"][kind], "saved": saved}
        for kind, (where, saved) in texts.items()
    ]
    header = "guided at σ | rows an image | median | time saved | pair by pair"
    return as_table(header, "{where} | {rows} | {seconds:.3f} s | {saved}", rows)


def spinning(record: Record) -> str:
    names = {"alone": "alone", "spinning": "beside two, all by ONNX Runtime's defaults", "still": "beside two"}
    rows = [{**side, "name": names[kind], "ms": 1000 * side["seconds"]} for kind, side in record["sides"].items()]
    form = "{name} | {ms:.1f} ms | {ratio:.2f} | {pairs[0]:.2f} to {pairs[1]:.2f}"
    return as_table("the UNet | a call | times longer | pair by pair", form, rows)


def threads(record: Record) -> str:
    header = (
        "a process that has | threads told | ONNX Runtime by itself | ddim-edge | times faster | pair by pair | "
        "processor time: ONNX Runtime | ddim-edge"
    )
    form = (
        "{name} | {threads} | {onnxruntime[seconds]:.1f} ms | {ours[seconds]:.1f} ms | {ratio:.2f} | "
        "{pairs[0]:.2f} to {pairs[1]:.2f} | {onnxruntime[processor_seconds]:.1f} ms | {ours[processor_seconds]:.1f} ms"
    )
    return as_table(header, form, [_threads_row(place, found) for place, found in record["places"].items()])


def _threads_row(place: str, found: Record) -> Row:
    names = {
        "whole": "the whole machine",
        "mask": "one processor, by an affinity mask",
        "quota": "one core's time, by a control group's quota",
        "busy": "the machine, beside another program that uses all processors",
    }
    count = int(found["sides"]["ours"]["threads"])
    in_ms = {side: {name: 1000 * value for name, value in taken.items()} for side, taken in found["sides"].items()}
    return {**found, **in_ms, "name": names[place], "threads": count or "its own"}


def opening(record: Record) -> str:
    rows = [
        {**found, "name": name, **{side: 1000 * seconds for side, seconds in found["seconds"].items()}}
        for name, found in record["graphs"].items()
    ]
    header = "graph | as exported | optimized by build | times faster | round by round"
    form = "{name} | {plain:.0f} ms | {built:.0f} ms | {ratio:.2f} | {pairs[0]:.2f} to {pairs[1]:.2f}"
    return as_table(header, form, rows)
