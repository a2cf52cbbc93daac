"""The command ``python -m bench.gpu``: measures one group of sides after another, and writes each result at once."""

import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ddim_edge.benchmark.environment import environment

from .. import results, tables
from ..results import Record
from ..tables.gpu import machine
from .measure import NO_TIME, Turn, floor_of, measure_group
from .models import MODELS, REHEARSAL, build
from .needs import missing_gpu
from .peaks import Peak, measured, published
from .plan import SIDES, Group, groups
from .profiling import measure_profile
from .soak import measure_soak

_PRECISIONS, _BATCHES = ("fp16", "fp32"), (1, 4, 16)
_OPSET = 23
_REHEARSAL_SIDES = ("plain", "bound", "graph", "fused", "eager")
_REHEARSAL_PEAK = Peak(1e12, 1e12, 1e11, "made up, for the rehearsal")


@click.command()
@click.option("--provider", default="cuda", help="Where ours runs: cuda or tensorrt, as NAME or NAME:DEVICE.")
@click.option("--only", multiple=True, metavar="PATTERN", help="Groups by NETWORK-PRECISION-BATCH: sd15-fp16-*.")
@click.option("--sides", default=",".join(SIDES), help="The sides to measure, separated by commas.")
@click.option("--repeats", type=click.IntRange(1), default=7, help="Rounds of each group.")
@click.option("--minutes", type=float, default=1e9, help="Start no group after this time.  [default: no limit]")
@click.option("--generations", type=int, default=1000, help="Generations in a row, to measure memory; 0 for none.")
@click.option("--opset", type=int, default=_OPSET, help="Opset of the graphs that are built.")
@click.option("--keep", is_flag=True, help="Keep the networks that were built in bench/cache/gpu.")
@click.option("--rehearse", is_flag=True, help="Run all of it on the CPU with tiny networks; no result is written.")
def main(rehearse: bool, **options: Any) -> None:
    """Measure networks with random weights on this machine's GPU, and diffusers in the same rounds.

    Sides of ddim-edge: plain (arrays in host memory), bound (buffers on the GPU), graph (bound, with a CUDA graph),
    fused (the same with the sampler's step in the graph). Results go to bench/results/gpu-NAME.json after each group;
    an interrupted run continues when it is started again.

    \b
    python -m bench.gpu --minutes 9
    python -m bench.gpu --only 'sd15-fp16-1' --only 'bundled-*'
    python -m bench.gpu --rehearse
    """
    if rehearse:
        _rehearse(**options)
        return
    missing = missing_gpu(options["provider"])
    if missing:
        raise click.ClickException(missing)
    import torch

    name = torch.cuda.get_device_name(0)
    run = Run(f"gpu-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}", name, **options)
    run.all(groups(MODELS, _PRECISIONS, _BATCHES, options["only"]), published(name) or measured())
    tables.render()


def _rehearse(provider: str, sides: str, **options: Any) -> None:
    # The defaults are for a GPU.
    chosen = _REHEARSAL_SIDES if sides == ",".join(SIDES) else sides.split(",")
    place = "cpu" if provider == "cuda" else provider
    run = Run("gpu-rehearsal", "no GPU (a rehearsal)", provider=place, sides=",".join(chosen), **options, kept=False)
    run.all(groups(REHEARSAL, ("fp32",), (1, 2), options["only"]), _REHEARSAL_PEAK)
    click.echo(machine(run.record))


class Run:
    """One run on one machine, with its results so far."""

    def __init__(
        self,
        subject: str,
        gpu: str,
        *,
        provider: str,
        sides: str,
        repeats: int,
        minutes: float,
        generations: int,
        opset: int,
        keep: bool,
        only: Sequence[str] = (),  # noqa: ARG002 (it has chosen the groups)
        kept: bool = True,
    ) -> None:
        self._subject, self._provider, self._sides = subject, provider, tuple(sides.split(","))
        self._repeats, self._generations, self._opset = repeats, generations, opset
        self._keep, self._kept = keep, kept
        self._end = time.monotonic() + 60 * minutes
        self._console = Console(stderr=True, highlight=False)
        found = results.read(subject) if kept else {}
        self.record: Record = {"gpu": gpu, **environment(), **found}
        self.record.setdefault("groups", {})

    def all(self, planned: Sequence[Group], peak: Peak) -> None:
        """Measure every group that has no result yet, then the generations in a row."""
        self.record["peak"] = peak._asdict()
        left = [group for group in planned if not self._is_done(group)]
        while left and self._has_time():
            group = left.pop(0)
            self._group(group, peak)
            if not self._keep and all(other.files != group.files for other in left):
                shutil.rmtree(self._folder(group), ignore_errors=True)
        if self._generations and "soak" not in self.record and self._has_time():
            self.record["soak"] = measure_soak(self._provider, self._generations, self._say)
            self._write()
        if left:
            self._say(f"not begun: {', '.join(group.name for group in left)}. Run it again to continue")

    def _is_done(self, group: Group) -> bool:
        """Whether the result has all sides."""
        rows = self.record["groups"].get(group.name, {}).get("rows", [])
        return set(self._sides) <= {row["side"] for row in rows if row["reason"] != NO_TIME}

    def _group(self, group: Group, peak: Peak) -> None:
        self._say(f"{group.name}: building")
        files = build(group.model, group.precision, self._folder(group), opset=self._opset)
        bundle = files[1]
        turn = Turn(lambda text: self._say(f"{group.name}: {text}"), self._has_time)
        record = measure_group(group, self._sides, self._provider, files, self._repeats, turn)
        record["floor"] = floor_of(group, bundle / "unet" / "model.onnx", peak)
        if group.batch == 1:
            record["profile"] = measure_profile(group, bundle, self._provider)
        self.record["groups"][group.name] = record
        self._write()

    def _folder(self, group: Group) -> Path:
        return results.CACHE / "gpu" / group.files

    def _say(self, text: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", soft_wrap=True)

    def _write(self) -> None:
        if self._kept:
            results.write(self._subject, self.record)

    def _has_time(self) -> bool:
        return time.monotonic() < self._end
