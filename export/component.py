"""One network into the folder that it has in a bundle: load, trace, fit, verify."""

import dataclasses
import gc
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

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
from .verify.fp16_overflow import LARGEST, Magnitudes, layers_with_weights, record_magnitudes, to_float16

_DEFAULTS = Options()
_GRAPH_NAME = "model.onnx"
_FP32_GRAPH_NAME = "model.fp32.onnx"
"""What the run time opens where model.onnx fails in fp16."""


def export_into(
    folder: Path,
    load: Callable[[], Network],
    config: Mapping[str, Any],
    on_stage: Stage,
    options: Options = _DEFAULTS,
) -> Report:
    """Write model.onnx, verified, and config.json into ``folder``; the report of it is returned, not written.

    The weights of what ``load`` returns must be float32; ``options`` may have them rounded. ExportError where that
    spoils the network.
    """
    write_json(folder / "config.json", {key: value for key, value in config.items() if key != "_name_or_path"})
    name, cases, remark = _export_graph(folder / _GRAPH_NAME, load, on_stage, options)
    return Report(path=folder, network=name, options=options, cases=cases, remark=remark)


def export_fp32_fallback(
    folder: Path, load: Callable[[], Network], on_stage: Stage, options: Options
) -> tuple[Case, ...]:
    """Write model.fp32.onnx, verified, beside the model.onnx of ``folder``; return how it compares with PyTorch.

    It is model.onnx but for the precision of ``options``, in which ``load`` must return the weights anew.
    """
    fp32 = dataclasses.replace(options, precision=FP32)
    return _export_graph(folder / _FP32_GRAPH_NAME, load, on_stage, fp32)[1]


def _export_graph(
    graph: Path, load: Callable[[], Network], on_stage: Stage, options: Options
) -> tuple[str, tuple[Case, ...], str | None]:
    """Write the graph and verify it; return the network's name, the comparison, and what is not as it was asked."""
    name, references, remark = _write_graph(graph, load, on_stage, options)
    # What was loaded for this graph alone is gone before ONNX Runtime reads the same weights again.
    gc.collect()
    on_stage("verify")
    with quiet():
        return name, _verify(graph, references, options.comparison), remark


def _verify(graph: Path, references: list[Reference], precision: Precision) -> tuple[Case, ...]:
    if precision is not BF16:
        return verify_graph(graph, references, precision)
    with tempfile.TemporaryDirectory(dir=graph.parent) as place:
        widened = Path(place) / graph.name
        write_as_float32(graph, widened)
        return verify_graph(widened, references, precision)


def _write_graph(
    path: Path, load: Callable[[], Network], on_stage: Stage, options: Options
) -> tuple[str, list[Reference], str | None]:
    """Write the graph; return the network's name, what it makes of random inputs, and what is not as it was asked."""
    network = load()
    with evaluation_mode(network.module), quiet():
        on_stage("export")
        with record_magnitudes(network.module) as magnitudes:
            references = run_pytorch(network)
        remark = _round(network.module, options.precision, magnitudes)
        model = trace(network, options.opset)
        on_stage("fit")
        run_passes(model, options)
        save_graph(model, path)
    free_weights(network)
    return network.name, references, remark


def _round(module: torch.nn.Module, precision: Precision, magnitudes: Magnitudes) -> str | None:
    """Round the weights; say which layers were spared."""
    kept = magnitudes.layers() if precision is FP16 else {}
    if precision is not FP16:
        module.to(precision.torch_dtype)
        return None
    total = len(layers_with_weights(module))
    if not np.isfinite(magnitudes.largest) or len(kept) == total or (not kept and magnitudes.largest > LARGEST):
        raise ExportError(
            f"values within the {type(module).__name__} reach {magnitudes.largest:.3g}, too much for fp16"
        )
    to_float16(module, kept)
    if not kept:
        return None
    return f"{len(kept)} of {total} layers kept in fp32, whose values reach {magnitudes.largest:.3g}: {', '.join(kept)}"
