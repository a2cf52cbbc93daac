"""Exports one denoising network to a bundle of its own."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ddim_edge.bundle.format import format_keys
from ddim_edge.errors import ExportError
from ddim_edge.whole_folder import whole_folder

from .component import export_into
from .networks.branches import check_module
from .networks.denoiser import call_unet
from .networks.examples import module_signature, read_examples, read_sizes
from .networks.network import Network, evaluation_mode, run_network
from .networks.signature import Signature
from .output.record import remember_hashes
from .output.report import Report, write_report
from .progress import Stage, ignore_stage
from .sample_shape import config_with_shape, shape_in, write_output
from .step_cache import add_step_cache


def export_unet(
    module: torch.nn.Module,
    example_config: Mapping[str, Any],
    out: str | os.PathLike[str],
    *,
    inputs: Mapping[str, Any] | None = None,
    sizes: Sequence[Sequence[int]] | None = None,
    output: Mapping[str, Any] | None = None,
    step_cache: int | None = None,
    on_stage: Stage = ignore_stage,
) -> Report:
    """Export any denoising network to the new folder ``out``: unet/model.onnx, unet/config.json, export.json.

    ``module`` is called as (sample, timestep, **conditioning) with sample float32 (B, *shape), timestep float32 (B,)
    (int64 if it fails on float32) and, where the config has class embeddings, class_labels int64 (B,). It returns a
    tensor of the sample's shape (an image may have other channels), a tuple that begins with one, or an object with
    ``.sample``. Its weights are float32. The module is not changed.

    ``example_config`` has the keys of a diffusers ``unet/config.json``: in_channels, sample_size, block_out_channels
    (one entry per level; each level but the first halves the image), num_class_embeds, class_embed_type ….
    Without block_out_channels, height and width must be multiples of sample_size. Samples that are no images have
    ``sample_shape`` instead: the shape of one sample, of any rank, without the batch.

    ``inputs``: an example of every other input by name, tensors or arrays (B, …) of one batch. The graph takes them
    under these names, at the lengths of the examples, with any batch. ``sizes``: the shapes of a sample, without the
    batch, at which the graph is traced and verified; the first is the bundle's own, if the config has no sample_shape.
    One is enough: an axis is free if two of them differ in it. Without ``sizes``: ``sample_shape`` alone, or two sizes
    of images from the config.

    ``output``: what a sample is, for output.json: kind, axes, names, units, normalization.

    ``step_cache`` is a branch, from 0 on, for a module with the blocks of diffusers' UNets: it adds unet/shallow.onnx,
    as ``export_folder`` does.

    ``on_stage`` is called with "export", "fit", "verify", "cache", "write" as each begins. The folder appears only at
    the end.
    Raises ConfigError (config, or ``out`` is not empty), ExportError (cannot be traced, or the graph disagrees with the
    module by more than 1e-4 standard deviations of its output) and OutputError.
    """
    out = Path(out).resolve()
    examples, shapes = read_examples(module, inputs or {}), read_sizes(example_config, sizes)
    config = example_config if shapes is None else config_with_shape(example_config, shapes[0])
    axes = output.get("axes", ()) if output else ()
    if step_cache is not None:
        check_module(module, step_cache)
    with whole_folder(out) as folder:
        _check_weights(module)
        if output is not None:
            write_output(folder, output, shape_in(config) if shapes is None else shapes[0])
        network = _network(
            module, lambda whole: module_signature(example_config, examples, shapes, axes, whole_timesteps=whole)
        )
        (folder / "unet").mkdir()
        report = export_into(folder / "unet", lambda: network, config, on_stage)
        if step_cache is not None:
            on_stage("cache")
            report = _with_step_cache(report, step_cache)
        on_stage("write")
        write_report(folder, report, **format_keys())
    remember_hashes(out)
    return dataclasses.replace(report, path=out)


def _with_step_cache(report: Report, branch: int) -> Report:
    options = dataclasses.replace(report.options, step_cache=branch)
    return dataclasses.replace(report, options=options, step_cache=add_step_cache(report.path, branch))


def _network(module: torch.nn.Module, signature: Callable[[bool], Signature]) -> Network:
    """The network with a float32 timestep; with int64 if it fails on float32, as one with a table of timesteps does."""
    network = Network(module=module, call=call_unet, signature=signature(False))
    try:
        with evaluation_mode(module):
            run_network(network, 2, network.signature.sizes[0], seed=0)
    except ExportError:
        return dataclasses.replace(network, signature=signature(True))
    return network


def _check_weights(module: torch.nn.Module) -> None:
    for name, parameter in module.named_parameters():
        if parameter.is_floating_point() and parameter.dtype != torch.float32:
            kind = str(parameter.dtype).removeprefix("torch.")
            raise ExportError(f"the weight {name} is {kind}; the exporter takes float32: call module.float() before")
