"""Gives a graph of another author our names of inputs and outputs, and our timestep, in place."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from onnxscript import ir

from ddim_edge.errors import ConfigError, choose_from, listed

from .timestep import TIMESTEP

SAMPLE, OUTPUT = "sample", "out_sample"
_FLOAT = ir.DataType.FLOAT
_REAL = (_FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE)


def rename(model: ir.Model, names: Mapping[str, str], output: str | None) -> str:
    """Rename inputs, ours by the graph's in ``names``, and keep one output, as ``out_sample``.

    ``output``: its name in the graph; None for the only one. Returns the name that it had. ConfigError for a name that
    is not there, for one that another input has, and for a graph without a sample or a timestep.
    """
    inputs = {str(value.name): value for value in inputs_of(model)}
    final = _final_names(inputs, names)
    kept = _chosen_output(model, output)
    had = str(kept.name)
    _free_names(model, {*final, OUTPUT}, keep={*inputs.values(), kept})
    # In two rounds: two inputs may exchange their names.
    for position, value in enumerate(inputs.values()):
        value.name = f"adopted.{position}"
    for name, value in zip(final, inputs.values(), strict=True):
        value.name = name
    _keep_output(model, kept)
    return had


def inputs_of(model: ir.Model) -> list[ir.Value]:
    """The inputs that are no weights: before version 4 of the format, every weight was an input as well."""
    return [value for value in model.graph.inputs if value.name not in model.graph.initializers]


def set_shape(model: ir.Model, shape: tuple[int, ...]) -> None:
    """Declare the shape of the sample, whose batch stays as it is."""
    sample = _input(model, SAMPLE)
    batch = sample.shape[0] if sample.shape is not None and len(sample.shape) else "batch"
    sample.shape = ir.Shape([batch, *shape])


def fit_timestep(model: ir.Model, divisor: int | None = None) -> None:
    """Make the timestep one number, or one for each row, whatever shape the graph wants.

    With ``divisor`` the graph gets the timestep, then float32, divided by it. ConfigError where it has another shape.
    """
    theirs = _input(model, TIMESTEP)
    wanted, sample = _timestep_shape(theirs), _input(model, SAMPLE).shape
    is_scalar = wanted == [1] and sample is not None and sample[0] != 1
    if divisor is not None and theirs.dtype not in _REAL:
        raise ConfigError("--timestep fraction: the graph takes whole timesteps, so it is fed an index")
    tape = ir.tape.Tape()
    ours = ir.Value(
        name=TIMESTEP,
        shape=ir.Shape([] if is_scalar else wanted[:1]),
        type=theirs.type if divisor is None else ir.TensorType(_FLOAT),
    )
    value = ours
    if divisor is not None:
        value = tape.op("Div", [value, _constant(model, "adopted.divisor", np.float32(divisor))])
        value = tape.op("Cast", [value], {"to": theirs.dtype})
    if is_scalar or len(wanted) > 1:
        shape = np.array([-1, *(1,) * (len(wanted) - 1)], np.int64)
        value = tape.op("Reshape", [value, _constant(model, "adopted.shape", shape)])
    if value is not ours:
        _put_before(model, theirs, ours, value, tape)


def _put_before(model: ir.Model, theirs: ir.Value, ours: ir.Value, value: ir.Value, tape: ir.tape.Tape) -> None:
    """Give the graph the input ``ours`` for ``theirs``, of which the nodes of ``tape`` make ``value``."""
    theirs.name = "adopted.timestep"
    ir.convenience.replace_all_uses_with(theirs, value)
    model.graph.inputs[model.graph.inputs.index(theirs)] = ours
    model.graph.insert_before(model.graph[0], tape.nodes)


def _final_names(inputs: Mapping[str, ir.Value], names: Mapping[str, str]) -> list[str]:
    """Our names of the inputs, in order. ConfigError as ``rename``."""
    for theirs in names.values():
        if theirs not in inputs:
            raise ConfigError(f"--map: {choose_from('input', theirs, inputs)}")
    mapped = {theirs: ours for ours, theirs in names.items()}
    final = [mapped.get(name, name) for name in inputs]
    for name in final:
        if final.count(name) > 1:
            raise ConfigError(f"--map: two inputs would be called {name}: map the graph's own {name} to another name")
    if OUTPUT in final:
        raise ConfigError(f"--map: {OUTPUT} is the name of the output: give the input {OUTPUT} another name")
    for name in (SAMPLE, TIMESTEP):
        if name not in final:
            raise ConfigError(
                f"which input is the {name}? Give --map {name}=NAME: the graph takes {_described(inputs)}"
            )
    return final


def _timestep_shape(timestep: ir.Value) -> list[int | ir.SymbolicDim]:
    shape = timestep.shape
    if shape is None:
        raise ConfigError("the graph says no shape of its timestep: export it again with one")
    if any(axis != 1 for axis in shape[1:]):
        raise ConfigError(f"the graph's timestep has the shape {shape}: it must be one number for each row")
    return list(shape)


def _constant(model: ir.Model, name: str, value: Any) -> ir.Value:
    tensor = ir.tensor(np.asarray(value), name=name)
    constant = ir.Value(
        name=name, const_value=tensor, shape=ir.Shape(tensor.shape.numpy()), type=ir.TensorType(tensor.dtype)
    )
    model.graph.register_initializer(constant)
    return constant


def _input(model: ir.Model, name: str) -> ir.Value:
    return next(value for value in inputs_of(model) if value.name == name)


def _described(inputs: Mapping[str, ir.Value]) -> str:
    return listed(f"{name} {value.shape}" for name, value in inputs.items())


def _chosen_output(model: ir.Model, name: str | None) -> ir.Value:
    outputs = {str(value.name): value for value in model.graph.outputs}
    if name is None and OUTPUT in outputs:
        return outputs[OUTPUT]
    if name is None and len(outputs) != 1:
        raise ConfigError(f"which output is the prediction? Give --output NAME: the graph returns {listed(outputs)}")
    if name is not None and name not in outputs:
        raise ConfigError(f"--output: {choose_from('output', name, outputs)}")
    return outputs[name or next(iter(outputs))]


def _keep_output(model: ir.Model, kept: ir.Value) -> None:
    """Make it the only output. An output that is an input, too, cannot have another name."""
    if kept.is_graph_input():
        raise ConfigError("the output is an input of the graph as it is: choose another with --output")
    kept.name = OUTPUT
    model.graph.outputs[:] = [kept]


def _free_names(model: ir.Model, names: Collection[str | None], keep: Collection[ir.Value]) -> None:
    """Rename what has one of ``names`` within the graph already, but for the values ``keep``."""
    made = [value for node in model.graph.all_nodes() for value in node.outputs]
    given = [value for graph in model.graphs() for value in (*graph.inputs, *graph.initializers.values())]
    for value in (*made, *given):
        if value.name in names and value not in keep:
            value.name = f"adopted.{value.name}"
