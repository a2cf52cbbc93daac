"""One network into the folder that it has in a bundle: load, trace, fit, verify."""

import gc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ddim_edge.errors import ExportError

from .fit import fit, save
from .network import Network, frozen
from .overflow import LARGEST, peak_of
from .precision import FP16, FP32, Precision
from .progress import Stage
from .quiet import quiet
from .report import Report, write_json
from .trace import OPSET, trace
from .verify import Expectation, expect, verify


def export_into(
    folder: Path,
    load: Callable[[], Network],
    config: Mapping[str, Any],
    on_stage: Stage,
    precision: Precision = FP32,
) -> Report:
    """Write model.onnx, verified, and config.json into ``folder``; the report of it is returned, not written.

    The weights of what ``load`` returns must be float32; with another precision, they are rounded to it. ExportError
    where that spoils the network.
    """
    write_json(folder / "config.json", {key: value for key, value in config.items() if key != "_name_or_path"})
    graph = folder / "model.onnx"
    name, expectations = _write_graph(graph, load, on_stage, precision)
    # What was loaded for this graph alone is gone before ONNX Runtime reads the same weights again.
    gc.collect()
    on_stage("verify")
    with quiet():
        cases = verify(graph, expectations, precision)
    return Report(path=folder, network=name, opset=OPSET, precision=precision, cases=cases)


def _write_graph(
    path: Path, load: Callable[[], Network], on_stage: Stage, precision: Precision
) -> tuple[str, list[Expectation]]:
    """Write the graph; return the network's name, and what it makes of random inputs."""
    network = load()
    with frozen(network.module), quiet():
        on_stage("export")
        expectations = _expect(network, precision)
        network.module.to(precision.torch_dtype)
        model = trace(network)
        on_stage("fit")
        fit(model)
        save(model, path)
    return network.name, expectations


def _expect(network: Network, precision: Precision) -> list[Expectation]:
    if precision is not FP16:
        return expect(network)
    with peak_of(network.module) as peak:
        expectations = expect(network)
    if not peak.value <= LARGEST:
        raise ExportError(f"values within the {network.name} reach {peak.value:.3g}, too much for fp16")
    return expectations
