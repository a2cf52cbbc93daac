"""Exports one network to its folder in a bundle: loads, traces, rewrites, saves and verifies it."""

import dataclasses
import gc
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddim_edge.bundle.layout import FP32_MODEL, MODEL
from ddim_edge.errors import ExportError

from .graph.bfloat16 import write_as_float32
from .graph.passes import run_passes, save_graph
from .graph.trace import trace
from .networks.network import Network, evaluation_mode, free_weights
from .options import Options
from .output.record import write_json
from .output.report import Report
from .precision import BF16, FP16, FP32, Precision
from .progress import Stage
from .quiet import quiet
from .verify.against_torch import Case, Reference, run_pytorch, verify_graph
from .verify.fp16_overflow import LIMIT, Magnitudes, layers_with_weights, record_magnitudes, to_float16

_DEFAULTS = Options()


def export_into(
    folder: Path,
    load: Callable[[], Network],
    config: Mapping[str, Any],
    on_stage: Stage,
    options: Options = _DEFAULTS,
) -> Report:
    """Write model.onnx, verified, and config.json to ``folder``. Returns the report, which is not written.

    ``load`` returns the network with float32 weights, which are rounded to the precision of ``options``. ExportError
    where the network does not work in that precision, or the graph differs from it.
    """
    write_json(folder / "config.json", {key: value for key, value in config.items() if key != "_name_or_path"})
    name, cases, remark = _export_graph(folder / MODEL, load, on_stage, options)
    return Report(path=folder, network=name, options=options, cases=cases, remark=remark)


def export_fp32_fallback(
    folder: Path, load: Callable[[], Network], on_stage: Stage, options: Options
) -> tuple[Case, ...]:
    """Write model.fp32.onnx, verified, beside the model.onnx of ``folder``. Returns its comparison with PyTorch.

    It differs from model.onnx only in precision. ``load`` must return the network with its float32 weights again.
    """
    fp32 = dataclasses.replace(options, precision=FP32)
    return _export_graph(folder / FP32_MODEL, load, on_stage, fp32)[1]


def _export_graph(
    graph: Path, load: Callable[[], Network], on_stage: Stage, options: Options
) -> tuple[str, tuple[Case, ...], str | None]:
    """Write and verify the graph. Returns the network's name, the comparison, and a remark on precision."""
    name, references, remark = _write_graph(graph, load, on_stage, options)
    # Free the weights of the PyTorch network before ONNX Runtime reads the same weights again.
    gc.collect()
    on_stage("verify")
    with quiet():
        return name, _compare_with_pytorch(graph, references, options.comparison), remark


def _compare_with_pytorch(graph: Path, references: list[Reference], precision: Precision) -> tuple[Case, ...]:
    if precision is not BF16:
        return verify_graph(graph, references, precision)
    with tempfile.TemporaryDirectory(dir=graph.parent) as temporary:
        in_fp32 = Path(temporary) / graph.name
        write_as_float32(graph, in_fp32)
        return verify_graph(in_fp32, references, precision)


def _write_graph(
    path: Path, load: Callable[[], Network], on_stage: Stage, options: Options
) -> tuple[str, list[Reference], str | None]:
    """Write the graph. Returns the network's name, its outputs for random inputs, and the remark on precision."""
    network = load()
    with evaluation_mode(network.module), quiet():
        on_stage("export")
        with record_magnitudes(network.module) as magnitudes:
            references = run_pytorch(network)
        remark = _round_weights(network.module, options.precision, magnitudes)
        model = trace(network, options.opset)
        on_stage("fit")
        run_passes(model, options)
        save_graph(model, path)
    free_weights(network)
    return network.name, references, remark


def _round_weights(module: torch.nn.Module, precision: Precision, magnitudes: Magnitudes) -> str | None:
    """Round the weights to ``precision``, in place. Returns a remark that names the layers kept in fp32, if any."""
    kept = magnitudes.overflowing_layers() if precision is FP16 else {}
    if precision is not FP16:
        module.to(precision.torch_dtype)
        return None
    total = len(layers_with_weights(module))
    if not np.isfinite(magnitudes.largest) or len(kept) == total or (not kept and magnitudes.largest > LIMIT):
        raise ExportError(
            f"values within the {type(module).__name__} reach {magnitudes.largest:.3g}, too much for fp16"
        )
    to_float16(module, kept)
    if not kept:
        return None
    return f"{len(kept)} of {total} layers kept in fp32, whose values reach {magnitudes.largest:.3g}: {', '.join(kept)}"
