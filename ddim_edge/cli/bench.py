"""``ddim-edge bench``: measures the speed of models in interleaved rounds and prints a report."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console

from ..benchmark.agreement import check_agreement
from ..benchmark.environment import environment
from ..benchmark.plan import EAGER, Configuration, Settings, baseline, device_beside, ours
from ..benchmark.rounds import Cell, Notify, interleave
from ..bundle.read import open_bundle
from ..errors import ConfigError, shown
from ..runtime.providers.device import Device
from ..runtime.providers.table import NAMES
from .bench_table import text_of
from .device_options import no_build_option, precision_option
from .environment import RepeatableOption
from .help_sections import SectionedCommand

DEFAULT_MODEL = "fashion-mnist"
_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs", "none")


def _batches(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        batches = tuple(int(part) for part in text.split(","))
    except ValueError:
        batches = ()
    if not batches or min(batches) < 1:
        raise ConfigError(f"--batch must be numbers of images, for instance 1,4,16, not {shown(text)}")
    return tuple(dict.fromkeys(batches))


@click.command("bench", cls=SectionedCommand)
@click.argument("models", nargs=-1, metavar="[MODEL]…")
@click.option(
    "--provider",
    "-p",
    cls=RepeatableOption,
    default=["auto"],
    metavar="NAME[:DEVICE]",
    help=f"What to run on: {', '.join(NAMES)}; cuda:1 is the second GPU. Repeatable.",
)
@precision_option
@no_build_option
@click.option(
    "--batch",
    "--batch-size",
    "-b",
    default="1",
    metavar="N,…",
    callback=_batches,
    help="Numbers of images that are denoised together.",
)
@click.option(
    "--steps",
    "--num-steps",
    "-s",
    type=click.IntRange(1, 1000),
    default=20,
    help="Number of DDIM steps for each image.",
)
@click.option("--height", type=int, help="Image height in pixels.  [default: the model's]")
@click.option("--width", type=int, help="Image width in pixels.  [default: the model's]")
@click.option(
    "--guidance-scale", "-g", type=float, help="Classifier-free guidance scale; 1 is off.  [default: the model's]"
)
@click.option(
    "--repeats", type=click.IntRange(1), default=5, help="Number of measured rounds, after one round to warm up."
)
@click.option(
    "--compare", type=click.Choice(["diffusers"]), help="Also measure diffusers with PyTorch, in the same rounds."
)
@click.option(
    "--source",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder that MODEL was exported from: diffusers runs with its weights.  [default: random weights]",
)
@click.option(
    "--compile-mode",
    cls=RepeatableOption,
    type=click.Choice(_MODES),
    default=["default"],
    help="With --compare, mode of torch.compile to measure besides eager PyTorch; repeatable.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    envvar="DDIM_EDGE_BENCH_JSON",
    help="Print one machine-readable line with all measurements.",
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
    """Measure how fast MODELs are on this machine.

    MODEL is a bundled model (default: fashion-mnist), or a bundle: a folder that `ddim-edge export` wrote.

    Each combination of model, batch and provider runs in its own process; each round runs all of them in turn. A step
    is one network call and the work between two calls; "idle" is the share of that work, in which a GPU waits. The time
    of an image is that of its whole batch. Exit code 2 if nothing could be measured.

    \b
    Examples:
      ddim-edge bench --batch 1,4,16
      ddim-edge bench sd15-fp32/ sd15-fp16/ --provider cuda --provider tensorrt --steps 30 --json
      ddim-edge bench sd15/ --compare diffusers --source stable-diffusion-v1-5/ --compile-mode max-autotune
    """
    if compare is None:
        _refuse_without_compare()
    bundles = [open_bundle(model).folder.resolve() for model in models or (DEFAULT_MODEL,)]
    for name in provider:
        Device.parse(name, precision=shared["precision"])  # raises an error for an unknown one
    modes = () if compare is None else _diffusers_modes(source, compile_mode)
    settings = Settings(**shared)
    first = [ours(bundle, size, name, settings) for bundle in bundles for size in batch for name in provider]
    bench = Bench(settings, modes, source)
    with Console(stderr=True).status("") as status:
        interrupted = bench.run(first, repeats, status.update)
    rows = [cell.row() for cell in bench.cells]
    chosen = {**vars(settings), "repeats": repeats}
    report = {**environment(), "settings": chosen, "interrupted": interrupted, "rows": rows}
    measured = any(row["rounds"] for row in rows)
    if measured or not interrupted:
        click.echo(json.dumps(report) if as_json else text_of(report))
    if interrupted:
        raise click.Abort("interrupted: " + ("not all rounds were run" if measured else "nothing was measured"))
    return 0 if measured else 2


def _refuse_without_compare() -> None:
    """Raise ConfigError for an option that is for --compare alone."""
    context = click.get_current_context()
    for name in ("source", "compile_mode"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise ConfigError(f"--{name.replace('_', '-')} is for --compare diffusers: add that, or leave it out")


def _diffusers_modes(source: Path | None, compile_modes: Sequence[str]) -> tuple[str, ...]:
    """The modes of diffusers to measure. Raises ConfigError if it is not installed or ``source`` is not its folder."""
    for package in ("torch", "diffusers"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"--compare diffusers needs {package}, which is not installed: pip install torch diffusers"
            )
    if source is not None and not any((source / name).is_file() for name in ("model_index.json", "config.json")):
        raise ConfigError(
            f"--source {source} is not a folder that diffusers saved: it has no model_index.json or config.json"
        )
    return (EAGER, *(mode for mode in compile_modes if mode != "none"))


class Bench:
    """All measured configurations of a run: each of ours, followed by its baselines in diffusers."""

    def __init__(self, settings: Settings, modes: Sequence[str], source: Path | None) -> None:
        self.cells: list[Cell] = []
        self._settings, self._modes, self._source = settings, modes, source
        self._compared: set[tuple[Path, int, str]] = set()

    def run(self, configurations: Sequence[Configuration], repeats: int, notify: Notify) -> bool:
        """Start all processes, run the rounds, stop the processes. Returns whether it was interrupted."""
        try:
            for configuration in configurations:
                cell = self._start(configuration, notify)
                if cell.is_running:
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
        beside = [baseline(of, cell.facts, mode, self._source, self._settings) for mode in self._modes]
        baselines = [self._start(configuration, notify) for configuration in beside]
        if self._source is not None:
            check_agreement(cell, baselines)
