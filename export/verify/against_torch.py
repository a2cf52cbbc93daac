"""Compares the exported graph in ONNX Runtime with the network in PyTorch on random inputs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ddim_edge.errors import ExportError

from ..errors import error_summary
from ..networks.network import Network, run_network
from ..networks.signature import FLOAT32_ALWAYS, Arrays, Sizes
from ..precision import Precision

_BATCHES = (1, 3, 5)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One comparison: batch, sizes, and the error by the precision's measure."""

    batch: int
    sizes: Sizes
    error: float

    def to_json(self) -> dict[str, Any]:
        """The entry in export.json."""
        return {"batch": self.batch, **self.sizes, "error": self.error}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Case":
        """Read what ``to_json`` wrote."""
        sizes = {key: value for key, value in entry.items() if key not in ("batch", "error")}
        return cls(batch=entry["batch"], sizes=sizes, error=entry["error"])

    def __str__(self) -> str:
        sizes = dict(self.sizes)
        image = f", {sizes.pop('height')}x{sizes.pop('width')} pixels" if "height" in sizes else ""
        return f"batch {self.batch}{image}{''.join(f', {name} {length}' for name, length in sizes.items())}"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Random inputs, and PyTorch's outputs for them."""

    batch: int
    sizes: Sizes
    inputs: Arrays
    outputs: Arrays


def run_pytorch(network: Network) -> list[Reference]:
    """Run the module in float32 at three batch sizes and all sizes of its signature, or at the fixed ones."""
    references = []
    batches = _BATCHES if network.signature.batch is None else (network.signature.batch,) * 2
    for seed, (sizes, batch) in enumerate(product(network.signature.sizes, batches), start=1):
        inputs, outputs = run_network(network, batch, sizes, seed)
        references.append(Reference(batch=batch, sizes=sizes, inputs=inputs, outputs=outputs))
    return references


def verify_graph(path: Path, references: Iterable[Reference], precision: Precision) -> tuple[Case, ...]:
    """Compare the graph with PyTorch's outputs. ExportError where an error is above the tolerance."""
    session = _open(path)
    cases = tuple(_compare(session, reference, precision) for reference in references)
    worst = max(cases, key=lambda case: case.error)
    if not worst.error <= precision.tolerance:
        raise ExportError(
            f"the exported graph differs from the network: by {worst.error:.2g} {precision.unit} at {worst}, where "
            f"{precision.tolerance:g} is allowed; nothing was written"
        )
    return cases


def _open(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no other common base
        raise ExportError(f"ONNX Runtime does not load the exported graph: {error_summary(error)}") from error


def _compare(session: onnxruntime.InferenceSession, reference: Reference, precision: Precision) -> Case:
    feeds = {
        name: array if name in FLOAT32_ALWAYS else precision.cast(array) for name, array in reference.inputs.items()
    }
    try:
        outputs = session.run(list(reference.outputs), feeds)
    except Exception as error:  # as above
        case = Case(batch=reference.batch, sizes=reference.sizes, error=0.0)
        raise ExportError(f"ONNX Runtime cannot run the exported graph at {case}: {error_summary(error)}") from error
    pairs = zip(outputs, reference.outputs.values(), strict=True)
    worst = max(_error(got, expected, precision) for got, expected in pairs)
    return Case(batch=reference.batch, sizes=reference.sizes, error=worst)


def _error(got: NDArray[Any], expected: NDArray[Any], precision: Precision) -> float:
    if got.shape != expected.shape:
        raise ExportError(f"the exported graph returns {got.shape} where the network returns {expected.shape}")
    error = precision.measure(got.astype(np.float32), expected.astype(np.float32))
    return error if np.isfinite(error) else float("inf")
