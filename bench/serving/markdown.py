"""The server's tables of bench/README.md: from a record of bench/results/ to Markdown."""

from collections.abc import Iterable, Sequence

from ..markdown import as_range, as_table
from ..results import Record
from .summary import PERCENTILES, wanted
from .trace import STEPS


def load(record: Record) -> str:
    """Every cell, then the capacity, then what was wanted beside what came out."""
    header = (
        "load",
        "",
        "offered/s",
        "requests/s",
        "images/s",
        *(f"{steps} steps, s" for steps in STEPS),
        "rejected",
        "timed out",
    )
    cells = sorted(record["cells"].values(), key=lambda cell: int(cell["load"]))
    table = as_table(header, [_load_line(cell) for cell in cells])
    return "\n\n".join((table, _capacity(record), *_wanted(record)))


def _load_line(cell: Record) -> Sequence[object]:
    speed = (f"{cell[f'{name}_per_second']:.2f}" for name in ("offered", "requests", "images"))
    latency = (_latency(cell["latency_s"][str(steps)]) for steps in STEPS)
    return (f"{cell['load']}%", cell["way"], *speed, *latency, cell["rejected"], cell["timed_out"])


def _latency(each: Record) -> str:
    return " / ".join(f"{each[f'p{at}']:.2f}" for at in PERCENTILES) if each["count"] else ""


def _capacity(record: Record) -> str:
    capacity, settings = record["capacity"], record["settings"]
    rates = capacity["run_to_end_requests_per_second"].items()
    to_end = ", ".join(f"{rate:.2f} in batches of {number}" for number, rate in rates)
    return (
        f"Latencies are p50 / p95 / p99, of {settings['requests']} requests a cell. The capacity is "
        f"{capacity['requests_per_second']:.2f} requests a second, the engine alone kept full; run to their end it "
        f"makes {to_end}."
    )


def _wanted(record: Record) -> Iterable[str]:
    found = wanted(record["cells"])
    if found is not None:
        yield (
            f"At {found['load']}% the 95th percentile of the 10-step requests, step by step, is "
            f"{found['p95_ratio']:.2f} of batch by batch's (wanted: at most 0.5), and the throughput "
            f"{found['throughput_ratio']:.3f} of it (at least 1); to the last answer, {found['to_the_end_ratio']:.3f}."
        )


def overhead(record: Record) -> str:
    """The share of each way."""
    header = ("", "repetitions", "rows a call", "share beside the network", "lowest to highest", "wanted at most")
    bar = f"{record['bar']:.0%}"
    rows = [
        (each["way"], each["repetitions"], f"{each['rows_a_call']:.2f}", f"{each['share']:.2%}",
         as_range(each["range"], ".2%"), bar)
        for each in record["rows"]
    ]  # fmt: skip
    return as_table(header, rows)


def soak(record: Record) -> str:
    """What was done and what came of it."""
    counts = record["counts"]
    nonsense = sum(number for name, number in counts.items() if name.startswith("nonsense"))
    rows = [
        ("minutes, at requests a second", f"{record['minutes']:g}, at {record['rate']:.2f}"),
        ("requests answered with images", counts.get("answers", 0) + counts.get("edited", 0)),
        ("clients that left before the answer", counts.get("left before the answer", 0)),
        ("jobs deleted", counts.get("jobs deleted", 0)),
        ("bad requests", nonsense),
        ("rejected, for the queue was full", counts.get("rejected", 0)),
        ("growth of the resident memory", f"{record['rss_growth']:.2%} (wanted: under {record['bar']:.0%})"),
        ("images made alone", f"{record['alone_images']}, off by {record['alone_difference']}"),
        (
            "images made in company",
            f"{record['compared_images']}, off by at most {record['compared_difference']} of 255",
        ),
        ("answered after SIGTERM, then the exit code", f"{record['answered_after_sigterm']}, {record['exit_code']}"),
        ("anything else that was not as wanted", len(record["failures"])),
    ]
    return as_table(("", ""), rows)


def fuzz(record: Record) -> str:
    """What was sent and how it was answered."""
    by_status: dict[str, int] = {}
    for name, number in record["statuses"].items():
        status = name.partition(" ")[2]
        by_status[status] = by_status.get(status, 0) + number
    rows = [(status, number) for status, number in sorted(by_status.items())]
    table = as_table((f"answers to {record['requests']} malformed requests", "number"), rows)
    right = "made the same image as before" if record["image_unchanged"] else "did not make the same image as before"
    return f"{table}\n\nWrongly answered: {len(record['failures'])}. Afterwards the server {right}."
