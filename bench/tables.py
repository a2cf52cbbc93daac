"""The tables of bench/README.md, rendered from bench/results/*.json: ``python -m bench.tables``."""

import os
import re

from ddim_edge.cli.bench_table import text_of

from . import results
from .markdown import (
    emoji,
    interval,
    opening,
    overhead,
    quality,
    reconstruction,
    size,
    spinning,
    stable_diffusion,
    startup,
    threads,
    throughput,
)
from .on_gpu import markdown as on_gpu
from .results import Record
from .serving import markdown as serving

README = results.BENCH / "README.md"
TABLES = {
    "overhead": overhead,
    "throughput": throughput,
    "startup": startup,
    "size": size,
    "quality": quality,
    "interval": interval,
    "reconstruction": reconstruction,
    "emoji": emoji,
    "stable_diffusion": stable_diffusion,
    "spinning": spinning,
    "threads": threads,
    "opening": opening,
    "serving_load": serving.load,
    "serving_overhead": serving.overhead,
    "serving_soak": serving.soak,
    "serving_fuzz": serving.fuzz,
}


def render() -> None:
    """Write every table between its markers, ``<!-- NAME -->`` and ``<!-- /NAME -->``."""
    text = README.read_text()
    for name, table in TABLES.items():
        record = results.read(name)
        body = f"{table(record)}\n\n{_circumstances(record)}" if record else "Not measured yet."
        text = _between_markers(text, name, body)
    text = _between_markers(text, "gpu", on_gpu.all_tables())
    text = _between_markers(text, "bench", command_table())
    temporary = README.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, README)


def command_table() -> str:
    """What `ddim-edge bench` printed as JSON, as it prints it otherwise."""
    record = results.read("bench")
    return f"```\n{text_of(record)}\n```" if record else "Not measured yet."


def _between_markers(text: str, name: str, body: str) -> str:
    pattern = re.compile(f"(<!-- {name} -->).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{README} has no markers <!-- {name} --> and <!-- /{name} -->: put them where the table goes")
    return pattern.sub(lambda match: f"{match[1]}\n{body}\n{match[2]}", text)


def _circumstances(record: Record) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return f"{record['machine']}; {record['date']}; {versions}."


if __name__ == "__main__":
    render()
