"""``ddim-edge build``: compiles engines and optimized graphs ahead of time."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from ..build.plan import BuildRequest, plan
from ..build.run import Progress, build
from ..bundle.bundle import Bundle
from ..bundle.read import open_bundle
from ..errors import ConfigError, shown
from ..runtime.compiled.measured import device_of, fastest
from ..runtime.compiled.places import bundle_cache, user_cache
from ..runtime.compiled.upkeep import entries, prune
from ..runtime.providers.device import Device
from ..runtime.providers.options import parse_options
from ..runtime.providers.table import AUTO, BUILDABLE, provider_named
from .build_auto import auto_json, auto_text, check_auto, keep, measured
from .build_report import build_json, entry_facts, entry_text, megabytes, show_progress, summary
from .device_options import precision_option
from .environment import RepeatableOption

_MEGABYTE = 2**20


@click.command("build")
@click.argument("model", required=False)
@click.option(
    "--provider",
    "-p",
    metavar="NAME[:DEVICE]",
    help=f"What to build for: {', '.join((AUTO, *BUILDABLE))}.",
)
@click.option(
    "--batch",
    "--batch-size",
    "-b",
    metavar="N,…",
    help="Images in a batch; TensorRT builds an engine for each number.  [default: 1]",
)
@click.option("--height", type=int, help="Height of the images in pixels.  [default: the model's usual one]")
@click.option("--width", type=int, help="Width of the images in pixels.  [default: the model's usual one]")
@click.option("--no-guidance", is_flag=True, help="Build nothing for guided images, which have two rows per image.")
@precision_option
@click.option(
    "--workspace",
    type=int,
    metavar="MB",
    help="The most GPU memory that TensorRT may try kernels with.  [default: TensorRT's]",
)
@click.option("--beside", is_flag=True, help="Build into the bundle's folder, so that the build is copied with it.")
@click.option(
    "--provider-option",
    cls=RepeatableOption,
    metavar="KEY=VALUE",
    help="One of the provider's own options; repeatable.",
)
@click.option("--allow-fallback", is_flag=True, help="Let the CPU do what the provider cannot.")
@click.option(
    "--list",
    "lists",
    is_flag=True,
    envvar="DDIM_EDGE_BUILD_LIST",
    help="List what is built, and why some of it is of no use here.",
)
@click.option(
    "--prune",
    "prunes",
    is_flag=True,
    envvar="DDIM_EDGE_BUILD_PRUNE",
    help="Remove what is of no use here: outdated or unfinished.",
)
@click.option("--dry-run", is_flag=True, help="With --provider auto, print what is measured, and keep nothing.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, envvar="DDIM_EDGE_BUILD_JSON", help="Print one machine-readable line.")
def build_command(
    model: str | None,
    provider: str | None,
    batch: str | None,
    height: int | None,
    width: int | None,
    no_guidance: bool,
    precision: str,
    workspace: int | None,
    beside: bool,
    provider_option: tuple[str, ...],
    allow_fallback: bool,
    lists: bool,
    prunes: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compile MODEL's graphs ahead of time for full speed.

    MODEL is a bundled model, or a bundle: a folder that `ddim-edge export` wrote. --provider is required, except with
    --list and --prune.

    For TensorRT, an engine is built for every graph of the bundle, for each batch and the one size that are given, each
    in its own process. This takes minutes. After Ctrl-C the same command continues where it stopped; what is built
    already is not built again. For OpenVINO the graphs are compiled, and for the CPU optimized, which takes seconds:
    then they open faster.

    --provider auto measures what is installed here, keeps what is fastest for this bundle on this machine, and builds
    for it. Every command with --provider auto, the default, then runs on it, in what its --precision allows.

    \b
    Examples:
      ddim-edge build sd15/ --provider auto --precision bfloat16
      ddim-edge build sd15/ --provider tensorrt --batch 1,4 --height 512 --width 768 --precision fp16
      ddim-edge build sd15/ --provider cpu
      ddim-edge build --list
      ddim-edge build --prune
    """
    if lists or prunes:
        if provider or beside or (lists and prunes):
            raise ConfigError(
                "--list and --prune take no other option, and MODEL only to include its cache: leave the rest out"
            )
        caches = [user_cache(), *([bundle_cache(open_bundle(model).folder)] if model else [])]
        report = _prune(caches, as_json) if prunes else _list(caches, as_json)
    elif model is None or provider is None:
        names = "|".join((AUTO, *BUILDABLE))
        raise ConfigError(f"name a model and a provider: ddim-edge build {model or 'MODEL'} --provider {names}")
    else:
        space = None if workspace is None else workspace * _MEGABYTE
        wanted = BuildRequest(_batches(batch), height, width, not no_guidance, space)
        options = parse_options(provider_option)
        device = Device.parse(provider, options, allow_fallback=allow_fallback, precision=precision)
        if device.provider == AUTO:
            check_auto(
                device.precision, {"--batch": batch, "--workspace": workspace, "--allow-fallback": allow_fallback}
            )
            report = _auto(open_bundle(model), device.precision, wanted, beside, dry_run, quiet, as_json)
        elif dry_run:
            raise ConfigError("--dry-run is for --provider auto, which measures: leave it out")
        else:
            report = build_bundle(open_bundle(model), device, wanted, beside=beside, quiet=quiet, as_json=as_json)
    if not quiet:
        click.echo(report)


def _auto(
    bundle: Bundle, precision: str, wanted: BuildRequest, beside: bool, dry_run: bool, quiet: bool, as_json: bool
) -> str:
    """Measure what is installed; keep it and build for the best, unless that is a ``dry_run``."""
    rows = measured(bundle, precision, wanted, quiet=quiet)
    best = fastest(rows, precision)
    assert best is not None  # ``measured`` raises where nothing runs
    folder = None if dry_run else keep(bundle, bundle_cache(bundle.folder) if beside else user_cache(), precision, rows)
    report = auto_json(rows, best, folder) if as_json else auto_text(bundle, rows, precision, kept=not dry_run)
    row = provider_named(best.provider)
    if dry_run or row.name not in BUILDABLE or row.uses_own_runtime(best.which):
        return report
    shaped = wanted if row.static_shapes else BuildRequest()
    device = device_of(best, Device())
    built = build_bundle(bundle, device, shaped, beside=beside, quiet=quiet, as_json=as_json)
    return json.dumps(json.loads(report) | json.loads(built)) if as_json else f"{report}\n{built}"


def build_bundle(
    bundle: Bundle,
    device: Device,
    wanted: BuildRequest,
    *,
    beside: bool = False,
    quiet: bool = False,
    as_json: bool = False,
) -> str:
    """Build a bundle with progress on stderr; returns the report. Raises as ``build``."""
    recipes = plan(bundle, device, wanted)
    cache = bundle_cache(bundle.folder) if beside else user_cache()
    done: list[Progress] = []
    try:
        with closing(build(recipes, cache, device)) as progress:
            for end in show_progress(progress, quiet=quiet):
                done.append(end)
    except KeyboardInterrupt:
        message = f"interrupted with {len(done)} of {len(recipes)} parts built: run the same command to go on"
        raise click.Abort(message) from None
    return build_json(cache, done) if as_json else summary(cache, done)


def _list(caches: Sequence[Path], as_json: bool) -> str:
    found = entries(caches)
    if as_json:
        return json.dumps({"caches": list(map(str, caches)), "entries": list(map(entry_facts, found))})
    return "\n".join(map(entry_text, found)) or f"nothing is built in {' or '.join(map(str, caches))}"


def _prune(caches: Sequence[Path], as_json: bool) -> str:
    gone = prune(caches)
    size = sum(entry.size for entry in gone)
    if as_json:
        return json.dumps({"removed": list(map(entry_facts, gone)), "bytes": size})
    return "\n".join([*map(entry_text, gone), f"{len(gone)} removed, {megabytes(size)}"])


def _batches(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise ConfigError(f"--batch must be numbers of images, for instance 1,2,4, not {shown(text)}") from None
