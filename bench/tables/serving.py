"""Tables of the server."""

from collections import Counter
from collections.abc import Iterator

from ..results import Record
from ..serving.attack.verdict import RATIO_BAR, ratio
from ..serving.summary import PERCENTILES, wanted
from ..serving.trace import STEPS
from .markdown import as_lines, as_table


def load(record: Record) -> str:
    """Every cell, then the capacity, then the bounds that were wanted."""
    cells = sorted(record["cells"].values(), key=lambda cell: int(cell["load"]))
    rows = [{**cell, "latencies": _latencies(cell)} for cell in cells]
    header = " | ".join(f"{steps} steps, s" for steps in STEPS)
    header = f"load |  | offered/s | requests/s | images/s | {header} | rejected | timed out"
    form = (
        "{load}% | {way} | {offered_per_second:.2f} | {requests_per_second:.2f} | {images_per_second:.2f} | "
        "{latencies} | {rejected} | {timed_out}"
    )
    return "\n\n".join((as_table(header, form, rows), _capacity(record), *_wanted(record)))


def _latencies(cell: Record) -> str:
    form = " / ".join(f"{{p{at}:.2f}}" for at in PERCENTILES)
    found = [cell["latency_s"][str(steps)] for steps in STEPS]
    return " | ".join(form.format_map(each) if each["count"] else "" for each in found)


def _capacity(record: Record) -> str:
    capacity, settings = record["capacity"], record["settings"]
    rates = capacity["run_to_end_requests_per_second"].items()
    to_end = ", ".join(f"{rate:.2f} in batches of {number}" for number, rate in rates)
    return (
        f"Latencies are p50 / p95 / p99, of {settings['requests']} requests a cell. The capacity is "
        f"{capacity['requests_per_second']:.2f} requests a second, the engine alone kept full; run to their end it "
        f"makes {to_end}."
    )


def _wanted(record: Record) -> Iterator[str]:
    found = wanted(record["cells"])
    if found is not None:
        yield (
            f"At {found['load']}% the 95th percentile of the 10-step requests, step by step, is "
            f"{found['p95_ratio']:.2f} of batch by batch's (wanted: at most 0.5), and the throughput "
            f"{found['throughput_ratio']:.3f} of it (at least 1); to the last answer, {found['to_the_end_ratio']:.3f}."
        )


def overhead(record: Record) -> str:
    header = " | repetitions | rows a call | share beside the network | lowest to highest | wanted at most"
    form = "{way} | {repetitions} | {rows_a_call:.2f} | {share:.2%} | {range[0]:.2%} to {range[1]:.2%} | {bar:.0%}"
    return as_table(header, form, [{**row, "bar": record["bar"]} for row in record["rows"]])


def soak(record: Record) -> str:
    counts = Counter[str](record["counts"])
    facts = {
        "minutes, at requests a second": f"{record['minutes']:g}, at {record['rate']:.2f}",
        "requests answered with images": counts["answers"] + counts["edited"],
        "clients that left before the answer": counts["left before the answer"],
        "jobs deleted": counts["jobs deleted"],
        "bad requests": sum(number for name, number in counts.items() if name.startswith("nonsense")),
        "rejected, for the queue was full": counts["rejected"],
        "growth of the resident memory": f"{record['rss_growth']:.2%} (wanted: under {record['bar']:.0%})",
        "images made alone": "{alone_images}, off by {alone_difference}".format_map(record),
        "images made in company": "{compared_images}, off by at most {compared_difference} of 255".format_map(record),
        "answered after SIGTERM, then the exit code": "{answered_after_sigterm}, {exit_code}".format_map(record),
        "anything else that was not as wanted": len(record["failures"]),
    }
    return as_lines(" | ", (f"{name} | {fact}" for name, fact in facts.items()))


def attack(record: Record) -> str:
    header = (
        f"attack | alone, s | under attack, s | ratio of the p95 (wanted: at most {RATIO_BAR:g}) | lost | "
        "memory before / peak / after, MiB | what the attackers got | promise"
    )
    form = (
        "{what} | {alone[p50]:.2f} / {alone[p95]:.2f} | {attacked[p50]:.2f} / {attacked[p95]:.2f} | {ratio:.2f} | "
        "{lost} of {attacked[requests]} | {memory} | {answers} | {verdict}"
    )
    rows = [
        {
            **row,
            "ratio": ratio(row),
            "memory": " / ".join(map(str, row["memory_mib"])),
            "answers": ", ".join(f"{number} {how}" for how, number in row["got"].items()),
            "verdict": "; ".join(row["broken"]) or "kept",
        }
        for row in record["rows"].values()
    ]
    return as_table(header, form, rows)
