"""One network into a bundle: trace, fit, verify."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ddim_edge.errors import ExportError

from .atomic import whole_folder
from .fit import fit, save
from .module import frozen, predict
from .progress import Stage, ignore_stage
from .quiet import quiet
from .report import Report, write_json, write_report
from .signature import Signature, read_signature
from .trace import OPSET, trace
from .verify import verify


def export_unet(
    module: torch.nn.Module,
    example_config: Mapping[str, Any],
    out: str | os.PathLike[str],
    *,
    on_stage: Stage = ignore_stage,
) -> Report:
    """Export any denoising network to the new folder ``out``: unet/model.onnx, unet/config.json, export.json.

    ``module`` is called as (sample, timestep, **conditioning) with sample float32 (B, C, H, W), timestep int64 (B,)
    and, where the config has class embeddings, class_labels int64 (B,). It returns a tensor (B, C', H, W), a tuple that
    begins with one, or an object with ``.sample``. Its weights are float32; it is left as it was.

    ``example_config`` has the keys of a diffusers ``unet/config.json``: in_channels, sample_size, block_out_channels
    (one entry a level, each level but the first halves the image), num_class_embeds, class_embed_type ….
    Without block_out_channels, height and width are taken to be multiples of sample_size.

    ``on_stage`` is called with "export", "fit", "verify", "write" as each begins. The folder appears only at the end.
    Raises ConfigError (config, or ``out`` is taken), ExportError (cannot be traced, or the graph disagrees with the
    module by more than 1e-4 standard deviations of its output) and OutputError.
    """
    out = Path(out).resolve()
    with whole_folder(out) as folder:
        report = export_into(folder, module, example_config, on_stage)
        on_stage("write")
        write_report(folder, report)
    return dataclasses.replace(report, path=out)


def export_into(folder: Path, module: torch.nn.Module, config: Mapping[str, Any], on_stage: Stage) -> Report:
    """Write ``unet/`` into ``folder``, verified; the report of it is returned, not written."""
    signature = read_signature(config)
    _check_weights(module)
    graph = folder / "unet" / "model.onnx"
    write_json(folder / "unet" / "config.json", {key: value for key, value in config.items() if key != "_name_or_path"})
    with frozen(module), quiet():
        _write_graph(module, signature, graph, on_stage)
        on_stage("verify")
        cases = verify(module, graph, signature)
    return Report(path=folder, network=type(module).__name__, opset=OPSET, cases=cases)


def _write_graph(module: torch.nn.Module, signature: Signature, path: Path, on_stage: Stage) -> None:
    on_stage("export")
    predict(module, signature.draw(2, signature.sizes[1], seed=0))
    model = trace(module, signature)
    on_stage("fit")
    fit(model)
    save(model, path)


def _check_weights(module: torch.nn.Module) -> None:
    for name, parameter in module.named_parameters():
        if parameter.is_floating_point() and parameter.dtype != torch.float32:
            kind = str(parameter.dtype).removeprefix("torch.")
            raise ExportError(f"the weight {name} is {kind}; the exporter takes float32: call module.float() before")
