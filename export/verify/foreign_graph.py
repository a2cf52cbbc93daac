"""Compares a graph that another exporter made with the network in PyTorch.

Such a graph may take one timestep for all rows, sizes of the UNet's whole multiples alone, and other types than ours;
and it may leave out outputs, such as hidden states that nothing reads.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import DTypeLike, NDArray

from ddim_edge.errors import ExportError, listed

from ..networks.network import Network
from ..networks.signature import Arrays, Draw, Input, Signature, Sizes
from ..precision import FP32
from .against_torch import Case, Reference, run_pytorch, verify_graph

_TIMESTEP = "timestep"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Declared:
    """What the graph in a file declares: types and numbers of axes of its inputs, its outputs, its opset."""

    types: Mapping[str, DTypeLike]
    axes: Mapping[str, int]
    outputs: tuple[str, ...]
    opset: int

    @classmethod
    def read(cls, path: Path) -> "Declared":
        """Read it, without weights in other files."""
        model = onnx.load(path, load_external_data=False)
        inputs = {entry.name: entry.type.tensor_type for entry in model.graph.input}
        return cls(
            types={name: onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type) for name, kind in inputs.items()},
            axes={name: len(kind.shape.dim) for name, kind in inputs.items()},
            outputs=tuple(entry.name for entry in model.graph.output),
            opset=next(entry.version for entry in model.opset_import if not entry.domain),
        )


def run_as_declared(network: Network, declared: Declared, multiple: int) -> list[Reference]:
    """Run the network in PyTorch on what the graph takes: sides that are multiples of ``multiple``.

    ExportError where the graph takes an input that the network does not have, or has no output of it.
    """
    if unknown := declared.types.keys() - set(network.signature.names):
        raise ExportError(f"the graph of the {network.name} takes {listed(sorted(unknown))}, which is unknown")
    if not network.signature.outputs.keys() & set(declared.outputs):
        raise ExportError(f"the graph of the {network.name} returns {listed(declared.outputs)}: none of it is known")
    fitted = dataclasses.replace(network, signature=_fitted(network.signature, declared, multiple))
    return [_as_declared(reference, declared) for reference in run_pytorch(fitted)]


def verify_as_declared(path: Path, references: list[Reference]) -> tuple[Case, ...]:
    """Compare the graph with the outputs of ``run_as_declared``. ExportError where it does not run, or differs."""
    return verify_graph(path, references, FP32)


def _fitted(signature: Signature, declared: Declared, multiple: int) -> Signature:
    inputs = tuple(
        dataclasses.replace(entry, draw=_one_for_all(entry.draw)) if _is_scalar(entry, declared) else entry
        for entry in signature.inputs
    )
    return dataclasses.replace(
        signature, inputs=inputs, sizes=tuple(_rounded(sizes, multiple) for sizes in signature.sizes)
    )


def _is_scalar(entry: Input, declared: Declared) -> bool:
    return entry.name == _TIMESTEP and declared.axes.get(_TIMESTEP) == 0


def _one_for_all(draw: Draw) -> Draw:
    return lambda random, shape: np.broadcast_to(draw(random, (1,)), shape).copy()


def _rounded(sizes: Sizes, multiple: int) -> Sizes:
    return {
        name: -(-length // multiple) * multiple if name in ("height", "width") else length
        for name, length in sizes.items()
    }


def _as_declared(reference: Reference, declared: Declared) -> Reference:
    inputs: Arrays = {
        name: _cast(reference.inputs[name], kind, declared.axes[name]) for name, kind in declared.types.items()
    }
    outputs = {name: array for name, array in reference.outputs.items() if name in declared.outputs}
    return dataclasses.replace(reference, inputs=inputs, outputs=outputs)


def _cast(array: NDArray[np.generic], kind: DTypeLike, axes: int) -> NDArray[np.generic]:
    return np.asarray(array if axes else array[0], kind)
