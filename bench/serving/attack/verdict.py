"""The promise that each attack is held against, and the figures that it is about."""

from collections.abc import Iterator, Sequence

import numpy as np

from ...results import Record
from ..client import Outcome

RATIO_BAR = 3.0
"""Most times that the honest client's 95th percentile may grow."""
HONEST_TIMEOUT_S = 30.0
"""The honest client's; a request that is lost counts as one that took so long."""
DRAIN_S, STOP_SLACK_S = 5.0, 3.0
"""The server's drain time, and how much later its process may end."""
MEMORY_SLACK_MIB, FILES_SLACK = 100, 10
"""How much above the state before an attack is near it."""
LATE_BAR_S = 5.0
"""Most that an attacker may be late; otherwise other programs use the machine, and it was no attack."""
LOG_BAR_MIB = 5.0
"""Most that the server may write to its log in one attack."""


def percentiles(outcomes: Sequence[Outcome]) -> Record:
    """Seconds from when each request was due to its answer."""
    seconds = [each.latency if each.status == 200 else HONEST_TIMEOUT_S for each in outcomes]
    p50, p95 = np.percentile(seconds, (50, 95))
    return {"requests": len(outcomes), "p50": round(float(p50), 4), "p95": round(float(p95), 4)}


def ratio(row: Record) -> float:
    """How many times longer the honest client's 95th percentile is under attack."""
    return float(row["attacked"]["p95"] / row["alone"]["p95"])


def is_recovered(memory_before: int, memory: int, files_before: int, files: int) -> bool:
    """Whether memory, in MiB, and open files are near what they were."""
    return memory <= memory_before + MEMORY_SLACK_MIB and files <= files_before + FILES_SLACK


def broken_promises(row: Record) -> list[str]:
    """What was promised and is not so."""
    return list(_broken_promises(row))


def _broken_promises(row: Record) -> Iterator[str]:
    if ratio(row) > RATIO_BAR:
        yield "slow"
    if row["lost"]:
        yield "requests lost"
    if not row["healthy"]:
        yield "not healthy afterwards"
    before, _, after = row["memory_mib"]
    if not is_recovered(before, after, *row["open_files"]):
        files = " to ".join(map(str, row["open_files"]))
        yield f"not recovered ({before} to {after} MiB, {files} open files)"
    if row["exit_code"] != 0 or row["stop_s"] > DRAIN_S + STOP_SLACK_S:
        yield f"ended {row['stop_s']:.1f} s after SIGTERM with exit code {row['exit_code']}"
    if row["log_mib"] > LOG_BAR_MIB:
        yield f"wrote {row['log_mib']:.0f} MiB to the log"
    if row["late_s"] > LATE_BAR_S:
        yield f"the attacker was {row['late_s']:.0f} s late: measure again on a quiet machine"
