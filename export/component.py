"""One network into the folder that it has in a bundle: load, trace, fit, verify."""

import gc
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ddim_edge.errors import ExportError

from .bfloat import widen
from .fit import fit, save
from .network import Network, dispose, frozen
from .options import Options
from .overflow import LARGEST, peak_of
from .precision import BF16, FP16, Precision
from .progress import Stage
from .quiet import quiet
from .report import Report, write_json
from .trace import trace
from .verify import Case, Expectation, expect, verify

_DEFAULTS = Options()


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
    graph = folder / "model.onnx"
    name, expectations = _write_graph(graph, load, on_stage, options)
    # What was loaded for this graph alone is gone before ONNX Runtime reads the same weights again.
    gc.collect()
    on_stage("verify")
    with quiet():
        cases = _verify(graph, expectations, options.comparison)
    return Report(path=folder, network=name, options=options, cases=cases)


def _verify(graph: Path, expectations: list[Expectation], precision: Precision) -> tuple[Case, ...]:
    if precision is not BF16:
        return verify(graph, expectations, precision)
    with tempfile.TemporaryDirectory(dir=graph.parent) as place:
        widened = Path(place) / graph.name
        widen(graph, widened)
        return verify(widened, expectations, precision)


def _write_graph(
    path: Path, load: Callable[[], Network], on_stage: Stage, options: Options
) -> tuple[str, list[Expectation]]:
    """Write the graph; return the network's name, and what it makes of random inputs."""
    network = load()
    with frozen(network.module), quiet():
        on_stage("export")
        expectations = _expect(network, options.precision)
        network.module.to(options.precision.torch_dtype)
        model = trace(network, options.opset)
        on_stage("fit")
        fit(model, options)
        save(model, path)
    dispose(network)
    return network.name, expectations


def _expect(network: Network, precision: Precision) -> list[Expectation]:
    if precision is not FP16:
        return expect(network)
    with peak_of(network.module) as peak:
        expectations = expect(network)
    if not peak.value <= LARGEST:
        raise ExportError(f"values within the {network.name} reach {peak.value:.3g}, too much for fp16")
    return expectations
