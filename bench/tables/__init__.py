"""The tables of bench/README.md and docs/stable-diffusion.md, rendered from bench/results/*.json."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ddim_edge.cli.bench_table import text_of
from ddim_edge.files import write_file

from .. import results
from ..results import Record
from . import (
    encoding,
    faults,
    forecast,
    full_size,
    fuzz,
    gpu,
    lora,
    low_bits,
    policy,
    precision,
    quality,
    serving,
    speed,
    step_cache,
)

README = results.BENCH / "README.md"
FRONT = results.ROOT / "docs" / "stable-diffusion.md"
"""It has the few rows that compare with the others at full size."""
TABLES = {
    "full_size": full_size.full_size,
    "full_size_caches": full_size.full_size_caches,
    "overhead": speed.overhead,
    "throughput": speed.throughput,
    "startup": speed.startup,
    "size": speed.size,
    "quality": quality.quality,
    "solvers": quality.solvers,
    "turbo": quality.turbo,
    "interval": speed.interval,
    "precision": precision.precision,
    "reconstruction": quality.reconstruction,
    "emoji": quality.emoji,
    "spinning": speed.spinning,
    "threads": speed.threads,
    "opening": speed.opening,
    "low_bits": low_bits.low_bits,
    "serving_load": serving.load,
    "serving_overhead": serving.overhead,
    "serving_soak": serving.soak,
    "serving_attack": serving.attack,
    "fuzz": fuzz.fuzz,
    "faults": faults.faults,
    "encoding": encoding.encoding,
    "forecast": forecast.forecast,
    "step_cache": step_cache.step_cache,
    "lora": lora.lora,
    "policy": policy.policy,
}
"""The function of each table, by the name of its result file."""


def publish(subject: str, record: Record, packages: tuple[str, ...]) -> None:
    """Write a result with the machine, the date and the versions of ``packages``; render all tables."""
    results.write(subject, {**record, **results.environment(*packages)})
    render()


def render() -> None:
    """Write each table of both documents between its markers, ``<!-- NAME -->`` and ``<!-- /NAME -->``."""
    bodies = {name: _body(name, table) for name, table in TABLES.items()}
    _fill(README, bodies | {"gpu": gpu.all_tables(), "bench": _command_table()})
    _fill(FRONT, {"full_size": _body("full_size", full_size.headline)})


def _fill(path: Path, bodies: Mapping[str, str]) -> None:
    text = path.read_text()
    for name, body in bodies.items():
        text = _between_markers(path, text, name, body)
    write_file(path, text.encode())


def _body(name: str, table: Callable[[Record], str]) -> str:
    record = results.read(name)
    return f"{table(record)}\n\n{_circumstances(record)}" if record else "Not measured yet."


def _command_table() -> str:
    """The table of ``ddim-edge bench``, from what it printed as JSON."""
    record = results.read("bench")
    return f"```\n{text_of(record)}\n```" if record else "Not measured yet."


def _between_markers(path: Path, text: str, name: str, body: str) -> str:
    pattern = re.compile(f"(<!-- {name} -->).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{path} has no markers <!-- {name} --> and <!-- /{name} -->: put them where the table goes")
    return pattern.sub(lambda match: f"{match[1]}\n{body}\n{match[2]}", text)


def _circumstances(record: Record) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return f"{record['machine']}; {record['date']}; {versions}."
