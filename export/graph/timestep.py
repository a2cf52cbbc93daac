"""Makes a graph's int64 timestep float32, as exports of today have it: the network can then stand between two of them.

A network that embeds its timestep by sines and cosines casts it to float32 first. Between the input and that cast there
are a few operators, such as Unsqueeze, which are the same function of float32. So the cast is left out, and nothing
else changes: whole timesteps give the same predictions, bit for bit.
"""

from typing import NoReturn

from onnxscript import ir

from ddim_edge.errors import ExportError

TIMESTEP = "timestep"
_MOVES = ("Unsqueeze", "Squeeze", "Reshape", "Flatten", "Expand", "Identity")
"""Operators that give the numbers of their first input another shape."""
_FLOAT, _INT64 = ir.DataType.FLOAT, ir.DataType.INT64


def takes_whole_timesteps(model: ir.Model) -> bool:
    """Whether the graph has an int64 timestep."""
    return any(value.name == TIMESTEP and value.dtype == _INT64 for value in model.graph.inputs)


def take_real_timesteps(model: ir.Model) -> None:
    """Make the int64 timestep of ``model`` float32, in place.

    ExportError, and ``model`` is as it was, where the timestep is used before it is cast to float32.
    """
    timestep = next(value for value in model.graph.inputs if value.name == TIMESTEP)
    whole: list[ir.Value] = []
    casts: list[ir.Node] = []  # to float32; and to int64, which only other exporters write
    products: list[ir.Node] = []
    _follow(timestep, whole, casts, products)
    for node in products:
        _cast_factors(model.graph, node, whole)
    for value in whole:
        value.type = ir.TensorType(_FLOAT)
    for node in casts:
        given = node.inputs[0]
        assert given is not None
        ir.convenience.replace_all_uses_with(node.outputs[0], given)
        assert node.graph is not None
        node.graph.remove(node, safe=True)


def _follow(value: ir.Value, whole: list[ir.Value], casts: list[ir.Node], products: list[ir.Node]) -> None:
    """Collect the values that are whole timesteps, the casts at their ends, and the products on the way."""
    whole.append(value)
    for node, position in value.uses():
        if node.op_type == "Cast" and node.attributes["to"].as_int() == _FLOAT:
            casts.append(node)
        elif node.op_type == "Cast" and node.attributes["to"].as_int() == _INT64:
            casts.append(node)
            _follow(node.outputs[0], whole, casts, products)
        elif node.op_type == "Mul":
            products.append(node)
            _follow(node.outputs[0], whole, casts, products)
        elif node.op_type in _MOVES and position == 0:
            _follow(node.outputs[0], whole, casts, products)
        elif node.op_type == "Gather" and position == 1:
            _refuse("it is the index of a table, which has rows for whole timesteps alone")
        elif node.op_type != "Shape":
            _refuse(f"{node.op_type} takes it as a whole number: export the model again")


def _cast_factors(graph: ir.Graph, node: ir.Node, whole: list[ir.Value]) -> None:
    """Make the other factor of a product float32: the ones by which diffusers gives every row a timestep."""
    for position, value in enumerate(node.inputs):
        if value is not None and value not in whole:
            cast = ir.node("Cast", [value], {"to": _FLOAT.value})
            graph.insert_before(node, cast)
            node.replace_input_with(position, cast.outputs[0])


def _refuse(reason: str) -> NoReturn:
    raise ExportError(f"its timestep stays whole: {reason}")
