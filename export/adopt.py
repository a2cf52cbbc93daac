"""Makes a bundle around a graph that another program exported. Needs neither PyTorch nor its weights."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxscript import ir

from ddim_edge.bundle.format import format_keys
from ddim_edge.bundle.layout import (
    CLASS_INPUT,
    CONFIG,
    EXPORT_RECORD,
    GUIDANCE_INPUT,
    MODEL,
    SCHEDULER,
    TEXT_INPUTS,
    UNET,
)
from ddim_edge.config import PreconditionedConfig, read_json
from ddim_edge.diffusion.samplers import SamplerConfig, sampler_config
from ddim_edge.diffusion.samplers.table import BY_CLASS
from ddim_edge.errors import BundleError, ConfigError, choose_from, listed
from ddim_edge.files import output_errors
from ddim_edge.graphs.external_data import check_onnx_file
from ddim_edge.whole_folder import whole_folder

from .graph.adopted import SAMPLE, fit_timestep, inputs_of, rename, set_shape
from .graph.timestep import TIMESTEP
from .output.record import file_entry, folder_size, hash_files, remember_hashes, write_json
from .sample_shape import Shape, config_with_shape, read_shape, write_output
from .unet_files import load_graph
from .verify.adopted import run_once

TIMESTEPS = ("index", "fraction", "sigma")
PRECONDITIONING = ("outside", "inside")
_OURS = (CLASS_INPUT, *TEXT_INPUTS, GUIDANCE_INPUT)


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """A graph of another author, and what its inputs and its output mean.

    ``names``: our names of its inputs, such as sample and timestep, with the graph's own. ``output``: the name of the
    prediction; None for the only output. ``timestep``: what the graph is fed: the training index, a ``fraction`` of
    the training steps, or ``sigma``. ``preconditioning``: whether EDM's scaling is ``inside`` the graph. ``shape``:
    that of one sample, where the graph leaves it open. ``output_config``: what a sample is, for output.json.
    """

    graph: Path
    scheduler: Path
    names: Mapping[str, str]
    output: str | None = None
    timestep: str = "index"
    preconditioning: str = "outside"
    shape: Sequence[int] | None = None
    output_config: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """A bundle that was made: its folder, its size in bytes, a sample's shape, its conditioning, and the sampler."""

    path: Path
    size: int
    sample_shape: Shape
    conditioning: Mapping[str, str]
    sampler: str


def adopt_graph(adoption: Adoption, out: Path, check: Callable[[Path], object] = lambda _: None) -> Adopted:
    """Write a bundle around a copy of the graph to the new folder ``out``, after ONNX Runtime ran the copy.

    Weights in other files are copied, too. ``check`` is called with the finished bundle before it appears.
    Raises ConfigError for names, shapes and files that do not fit; BundleError for a graph that is none, or whose
    weights are missing; ExportError where ONNX Runtime cannot run it; OutputError where nothing can be written.
    """
    out = out.resolve()
    scheduler = _scheduler_keys(adoption)
    config = _sampler(adoption.scheduler, scheduler)
    with whole_folder(out) as folder:
        weights = check_onnx_file(adoption.graph, adoption.graph.parent)
        model = load_graph(adoption.graph)
        shape, output = _prepare(model, adoption, config)
        if adoption.output_config is not None:
            write_output(folder, read_json(adoption.output_config), shape)
        unet = folder / UNET.name
        unet.mkdir()
        with output_errors(out):
            _copy_weights(adoption.graph, weights, unet)
            ir.save(model, unet / MODEL)
        run_once(unet / MODEL, shape, config)
        write_json(unet / CONFIG, config_with_shape({}, shape))
        write_json(folder / SCHEDULER, scheduler)
        write_json(folder / EXPORT_RECORD, _record(folder, adoption, output))
        _check_runs(folder, out, check)
    remember_hashes(out)
    others = {str(value.name): str(value.shape) for value in inputs_of(model) if value.name not in (SAMPLE, TIMESTEP)}
    return Adopted(path=out, size=folder_size(out), sample_shape=shape, conditioning=others, sampler=config.name)


def _check_runs(folder: Path, out: Path, check: Callable[[Path], object]) -> None:
    """Raise ConfigError where ``check`` refuses the bundle, by the name that it would have had."""
    try:
        check(folder)
    except (BundleError, ConfigError) as error:
        raise ConfigError(f"the bundle would not run: {str(error).replace(str(folder), str(out))}") from None


def _scheduler_keys(adoption: Adoption) -> dict[str, Any]:
    """The scheduler file's keys, with those that say what the graph is fed and returns."""
    keys = dict(read_json(adoption.scheduler))
    for name, value, valid in (
        ("timestep", adoption.timestep, TIMESTEPS),
        ("preconditioning", adoption.preconditioning, PRECONDITIONING),
    ):
        if value not in valid:
            raise ConfigError(choose_from(name, value, valid))
    if adoption.timestep == "sigma":
        keys["timestep_type"] = "sigma"
    if adoption.preconditioning == "inside":
        keys["prediction_type"] = "sample"
    return keys


def _sampler(path: Path, keys: Mapping[str, Any]) -> SamplerConfig:
    try:
        return sampler_config(keys)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _prepare(model: ir.Model, adoption: Adoption, config: SamplerConfig) -> tuple[Shape, str]:
    """Give the graph our names, and a timestep that we feed. Returns a sample's shape, and its output's own name."""
    _check_family(adoption, config)
    output = rename(model, adoption.names, adoption.output)
    if taken := [str(value.name) for value in inputs_of(model) if value.name in _OURS]:
        theirs = adoption.names.get(taken[0], taken[0])
        raise ConfigError(
            f"{taken[0]} is filled from labels or a prompt, which an adopted graph has not: give it another name, such "
            f"as --map given_{taken[0]}={theirs}, and it is conditioning"
        )
    shape = _shape_of(model, adoption)
    set_shape(model, shape)
    fit_timestep(model, config.num_train_steps if adoption.timestep == "fraction" else None)
    return shape, output


def _check_family(adoption: Adoption, config: SamplerConfig) -> None:
    in_sigma = isinstance(config, PreconditionedConfig)
    if in_sigma and adoption.timestep == "fraction":
        raise ConfigError(
            f"--timestep fraction: {config.scheduler_class} has no timesteps: choose sigma, or leave it out"
        )
    wanted = "--timestep sigma" if adoption.timestep == "sigma" else "--preconditioning inside"
    if not in_sigma and (adoption.timestep == "sigma" or adoption.preconditioning == "inside"):
        fitting = listed(sorted(name for name, each in BY_CLASS.items() if issubclass(each, PreconditionedConfig)))
        raise ConfigError(f"{wanted} is for a scheduler of σ-space, {fitting}, and not for {config.scheduler_class}")


def _shape_of(model: ir.Model, adoption: Adoption) -> Shape:
    """The shape of a sample: the graph's, or the given one where it leaves it open."""
    sample = next(value for value in inputs_of(model) if value.name == SAMPLE)
    declared = None if sample.shape is None else list(sample.shape)[1:]
    if adoption.shape is None:
        if declared is None or not all(isinstance(axis, int) for axis in declared):
            said = "no shape" if declared is None else f"the shape {sample.shape}, with free axes"
            raise ConfigError(
                f"the graph declares {said} for its sample: give --sample-shape, without the batch, such as 3x64x64"
            )
        return read_shape("the graph's sample", [axis for axis in declared if isinstance(axis, int)])
    given = read_shape("--sample-shape", adoption.shape)
    fits = declared is None or [
        axis if isinstance(axis, int) else length for axis, length in zip(declared, given, strict=False)
    ] == list(given)
    if not fits or len(given) != len(declared or given):
        raise ConfigError(f"--sample-shape {'x'.join(map(str, given))} does not fit the graph's sample {sample.shape}")
    return given


def _copy_weights(graph: Path, weights: Sequence[Path], unet: Path) -> None:
    for path in weights:
        target = unet / path.relative_to(graph.parent)
        if target.name in (MODEL, CONFIG):
            raise ConfigError(f"{path} has the name of a file of a bundle: rename it, or export the graph again")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _record(folder: Path, adoption: Adoption, output: str) -> dict[str, Any]:
    """The bundle's export.json. The key network marks a network alone."""
    source = {"file": adoption.graph.name, **file_entry(adoption.graph), "inputs": dict(adoption.names)}
    meaning = {"timestep": adoption.timestep, "preconditioning": adoption.preconditioning}
    return {
        **format_keys(),
        "network": adoption.graph.stem,
        "adopted_from": {**source, "output": output, **meaning},
        "files": hash_files(folder),
    }
