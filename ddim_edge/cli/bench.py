"""``ddim-edge bench``: the options, and how they become rounds and a report."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ..benchmark.agreement import check_agreement
from ..benchmark.environment import environment
from ..benchmark.plan import EAGER, Configuration, Settings, device_beside, ours, rival
from ..benchmark.rounds import Cell, Notify, interleave
from ..bundle.read import open_bundle
from ..errors import ConfigError
from ..runtime.providers.device import Device
from ..runtime.providers.table import NAMES
from .bench_table import text_of

DEFAULT_MODEL = "fashion-mnist"
_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs", "none")


def _batches(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        batches = tuple(int(part) for part in text.split(","))
    except ValueError:
        batches = ()
    if not batches or min(batches) < 1:
        raise ConfigError(f"--batch wants numbers of images, for instance 1,4,16, not {text!r}")
    return tuple(dict.fromkeys(batches))


@click.command("bench")
@click.argument("models", nargs=-1, metavar="[MODEL]…")
@click.option(
    "--provider", "-p", multiple=True, default=["auto"], help=f"{', '.join(NAMES)}, as NAME or NAME:DEVICE; repeatable."
)
@click.option("--batch", "-b", default="1", metavar="N,…", callback=_batches, help="How many images step together.")
@click.option("--steps", "-s", type=click.IntRange(1, 1000), default=20, help="Of DDIM, in every image.")
@click.option("--height", type=int, help="Of the images, in pixels.  [default: the model's]")
@click.option("--width", type=int, help="Likewise.")
@click.option("--guidance-scale", "-g", type=float, help="1 is none.  [default: the model's]")
@click.option("--repeats", type=click.IntRange(1), default=5, help="Rounds, after one run to warm up.")
@click.option("--compare", type=click.Choice(["diffusers"]), help="Measure torch beside, in the same rounds.")
@click.option(
    "--source",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder that was exported, for its weights; without it torch gets random ones.",
)
@click.option(
    "--compile-mode",
    multiple=True,
    type=click.Choice(_MODES),
    default=["default"],
    help="How torch.compile is called, beside torch without it; repeatable.",
)
@click.option(
    "--json", "as_json", is_flag=True, envvar="DDIM_EDGE_BENCH_JSON", help="Print all that was measured as one line."
)
def bench_command(
    models: tuple[str, ...],
    provider: tuple[str, ...],
    batch: tuple[int, ...],
    repeats: int,
    compare: str | None,
    source: Path | None,
    compile_mode: tuple[str, ...],
    as_json: bool,
    **shared: Any,
) -> int:
    """Measure how fast MODELs (bundled names or folders) are on this machine.

    Each provider, batch and model is a process of its own; all are asked in turn, round by round. A step is a network
    call and what is done between two of them; idle is the share of the latter, in which a GPU waits. An image's time
    is that of a whole batch. Exit code 2 where nothing could be measured.

    \b
    Examples:
      ddim-edge bench --batch 1,4,16
      ddim-edge bench sd15-fp32/ sd15-fp16/ --provider cuda --provider tensorrt --steps 30 --json
      ddim-edge bench sd15/ --compare diffusers --source stable-diffusion-v1-5/ --compile-mode max-autotune
    """
    bundles = [open_bundle(model).folder.resolve() for model in models or (DEFAULT_MODEL,)]
    for name in provider:
        Device.parse(name)  # refuses one that is none
    modes = () if compare is None else _diffusers_modes(source, compile_mode)
    settings = Settings(**shared)
    first = [ours(bundle, size, name, settings) for bundle in bundles for size in batch for name in provider]
    bench = Bench(settings, modes, source)
    with Console(stderr=True).status("") as status:
        interrupted = bench.run(first, repeats, status.update)
    rows = [cell.row() for cell in bench.cells]
    asked = {**vars(settings), "repeats": repeats}
    report = {**environment(), "settings": asked, "interrupted": interrupted, "rows": rows}
    measured = any(row["rounds"] for row in rows)
    if measured or not interrupted:
        click.echo(json.dumps(report) if as_json else text_of(report))
    if interrupted:
        raise click.Abort("interrupted: " + ("not all rounds were made" if measured else "nothing was measured"))
    return 0 if measured else 2


def _diffusers_modes(source: Path | None, compile_modes: Sequence[str]) -> tuple[str, ...]:
    """What of diffusers to run beside ours. ConfigError where it is not installed, or ``source`` is not diffusers'."""
    for package in ("torch", "diffusers"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"--compare diffusers needs {package}, which is not installed: pip install torch diffusers"
            )
    if source is not None and not any((source / name).is_file() for name in ("model_index.json", "config.json")):
        raise ConfigError(f"--source {source} is no folder that diffusers saved: it has no model_index.json")
    return (EAGER, *(mode for mode in compile_modes if mode != "none"))


class Bench:
    """All cells of a run: ours, and after each of ours what stands beside it."""

    def __init__(self, settings: Settings, modes: Sequence[str], source: Path | None) -> None:
        self.cells: list[Cell] = []
        self._settings, self._modes, self._source = settings, modes, source
        self._compared: set[tuple[Path, int, str]] = set()

    def run(self, configurations: Sequence[Configuration], repeats: int, notify: Notify) -> bool:
        """Start all, ask all in turn, stop all; returns whether it was interrupted."""
        try:
            for configuration in configurations:
                cell = self._start(configuration, notify)
                if cell.lives:
                    self._start_beside(cell, notify)
            interleave(self.cells, repeats, notify)
        except KeyboardInterrupt:
            return True
        finally:
            for cell in self.cells:
                cell.stop()
        return False

    def _start(self, configuration: Configuration, notify: Notify) -> Cell:
        cell = Cell(configuration)
        self.cells.append(cell)
        notify(f"starting {cell.label}")
        cell.start()
        return cell

    def _start_beside(self, cell: Cell, notify: Notify) -> None:
        """Start diffusers on the same device, once for each bundle, batch and device."""
        of = cell.configuration
        place = of.bundle, of.batch, device_beside(of, cell.facts)
        if not self._modes or place in self._compared:
            return
        self._compared.add(place)
        beside = [rival(of, cell.facts, mode, self._source, self._settings) for mode in self._modes]
        rivals = [self._start(configuration, notify) for configuration in beside]
        if self._source is not None:
            check_agreement(cell, rivals)
