"""Adds guidance and one DDIM step to the UNet's graph, so that nothing is computed on the host between its calls.

With x the sample, c and u the network's conditional and unconditional predictions, and one row of coefficients per
image::

    p    = u + w·(c - u)
    x_0  = clip(x0_x·x + x0_p·p, ±limit)
    next = next_x·x + next_p·p + next_x0·x_0 + sigma·noise

``DdimSchedule`` has the columns. An infinite limit does not clip. The names of all added nodes begin with "step/".
"""

from typing import NoReturn

import numpy as np
from onnxscript import ir

from ddim_edge.bundle.layout import DEEP_FEATURES
from ddim_edge.errors import ExportError

COLUMNS = ("x0_x", "x0_p", "next_x", "next_p", "next_x0", "sigma", "limit", "guidance_scale")
"""Columns of the input step_coefficients, float32 (images, 8)."""
NEW_INPUTS = ("step_coefficients", "noise")
NEW_OUTPUTS = ("next_sample", "denoised")
_FIRST_OPSET = 15  # Shape with the attributes start and end
_RESIDUALS = ("down_block_additional_residual", "mid_block_additional_residual")
_FLOAT = ir.DataType.FLOAT
_FLOATS = (_FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


def add_step(model: ir.Model) -> None:
    """Add the step, in place: inputs step_coefficients and noise, outputs next_sample and denoised.

    ``sample`` becomes float32 (images, C, H, W). The other inputs keep their rows: one per image, or two: first the
    conditional rows of all images, then the unconditional ones. ExportError for a graph that cannot have a step.
    """
    graph = model.graph
    inputs = {value.name: value for value in graph.inputs}
    check_fusable(model)
    rows, prediction = inputs["sample"], graph.outputs[0]
    assert rows.shape is not None
    shape = [_images(rows.shape[0]), *rows.shape[1:]]
    sample, noise = (_value(name, _FLOAT, shape) for name in ("sample", "noise"))
    coefficients = _value("step_coefficients", _FLOAT, [shape[0], len(COLUMNS)])
    coefficients.doc_string = ", ".join(COLUMNS)

    before = _Nodes(graph)
    images = before("images", "Shape", sample, start=0, end=1)
    count = before("rows", "Shape", inputs["timestep"], start=0, end=1)
    tiled = _tile(before, sample, images, count, rows)
    ir.convenience.replace_all_uses_with(rows, tiled)
    graph.inputs[graph.inputs.index(rows)] = sample
    graph.inputs.extend((coefficients, noise))
    graph.insert_before(graph[0], before.nodes)

    after = _Nodes(graph)
    if prediction.dtype != _FLOAT:
        prediction = after("prediction", "Cast", prediction, to=_FLOAT.value)
    columns = _split(after, coefficients)
    guided = _guide(after, prediction, images, count, columns["guidance_scale"])
    results = _step(after, sample, guided, noise, columns)
    graph.extend(after.nodes)
    for name, result in zip(NEW_OUTPUTS, results, strict=True):
        result.name, result.type, result.shape = name, ir.TensorType(_FLOAT), ir.Shape(shape)
        graph.outputs.append(result)


def check_fusable(model: ir.Model) -> None:
    """ExportError with the reason for a graph that cannot have a step."""
    inputs = {str(value.name): value for value in model.graph.inputs}
    missing = {"sample", "timestep"} - inputs.keys()
    if missing:
        _refuse(f"it has no input {missing.pop()!r}")
    if taken := {*NEW_INPUTS, *NEW_OUTPUTS} & {*inputs, *(str(value.name) for value in model.graph.outputs)}:
        _refuse(f"it has a {sorted(taken)[0]} already")
    if any(name.startswith(_RESIDUALS) for name in inputs):
        _refuse("it takes the residuals of ControlNets, which depend on the sample and are computed before it")
    others = [value for value in model.graph.outputs[1:] if value.name != DEEP_FEATURES]
    if others:
        _refuse(f"it has {len(model.graph.outputs)} outputs, and which of them is the prediction is not known")
    if model.opset_imports.get("", 0) < _FIRST_OPSET:
        _refuse(f"its opset is below {_FIRST_OPSET}: export it again, with a newer one")
    for value in (inputs["sample"], model.graph.outputs[0]):
        if value.dtype not in _FLOATS:
            _refuse(f"its {value.name} is {value.dtype}, not fp32, fp16 or bf16")
    _check_shapes(inputs["sample"].shape, inputs["timestep"].shape, model.graph.outputs[0].shape)


def _check_shapes(sample: ir.Shape | None, timestep: ir.Shape | None, prediction: ir.Shape | None) -> None:
    if timestep is None or len(timestep) != 1:
        _refuse("its timestep is not a vector, so the number of rows is unknown: export it again")
    if sample is None or len(sample) != 4 or prediction is None or len(prediction) != 4:
        _refuse("its sample and its prediction must be declared as (batch, channels, height, width)")
    if sample[1] != prediction[1]:
        _refuse(f"it takes {sample[1]} channels and predicts {prediction[1]}: a step needs the same number")
    if (fixed := _fixed(sample)) != _fixed(timestep):
        _refuse(f"the batch of its sample is {fixed or 'free'} and that of its timestep {_fixed(timestep) or 'free'}")


def _tile(node: "_Nodes", sample: ir.Value, images: ir.Value, count: ir.Value, like: ir.Value) -> ir.Value:
    """The sample, repeated if there are two rows per image, in the network's data type."""
    times = node("times", "Div", count, images)
    repeats = node("repeats", "Concat", times, node.constant("ones", [1, 1, 1]), axis=0)
    tiled = node("tile", "Tile", sample, repeats)
    tiled.type, tiled.shape = ir.TensorType(_FLOAT), like.shape
    if like.dtype == _FLOAT:
        return tiled
    assert like.dtype is not None
    cast = node("cast", "Cast", tiled, to=like.dtype.value)
    cast.type, cast.shape = like.type, like.shape
    return cast


def _split(node: "_Nodes", coefficients: ir.Value) -> dict[str, ir.Value]:
    """Each column of the coefficients as (images, 1, 1, 1)."""
    shape = node.constant("column_shape", [-1, len(COLUMNS), 1, 1])
    columns = node("columns", "Reshape", coefficients, shape)
    return node.split(columns, node.constant("widths", [1] * len(COLUMNS)), COLUMNS)


def _guide(node: "_Nodes", prediction: ir.Value, images: ir.Value, count: ir.Value, scale: ir.Value) -> ir.Value:
    """Guidance, u + w·(c - u): c is the first rows and u the last; the same rows if there is one per image."""
    zero, axis = node.constant("zero", [0]), node.constant("batch_axis", [0])
    first = node("last_images", "Sub", count, images)
    conditional = node("conditional", "Slice", prediction, zero, images, axis)
    unconditional = node("unconditional", "Slice", prediction, first, count, axis)
    difference = node("difference", "Sub", conditional, unconditional)
    return node("guide", "Add", unconditional, node("scaled_difference", "Mul", scale, difference))


def _step(
    node: "_Nodes", x: ir.Value, p: ir.Value, noise: ir.Value, columns: dict[str, ir.Value]
) -> tuple[ir.Value, ir.Value]:
    """The next sample and x_0."""

    def times(column: str, value: ir.Value) -> ir.Value:
        return node(f"{column}_times", "Mul", columns[column], value)

    free = node("unlimited", "Add", times("x0_x", x), times("x0_p", p))
    lowest = node("lowest", "Neg", columns["limit"])
    denoised = node("denoised", "Min", node("not_below", "Max", free, lowest), columns["limit"])
    terms = times("next_x", x), times("next_p", p), times("next_x0", denoised), times("sigma", noise)
    return node("next_sample", "Sum", *terms), denoised


class _Nodes:
    """Creates nodes, each with the name step/NAME like its output, and constants."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.nodes: list[ir.Node] = []

    def __call__(self, name: str, operator: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
        node = ir.node(operator, inputs, attributes, name=f"step/{name}")
        node.outputs[0].name = node.name
        self.nodes.append(node)
        return node.outputs[0]

    def split(self, value: ir.Value, widths: ir.Value, names: tuple[str, ...]) -> dict[str, ir.Value]:
        """Pieces of ``value`` along its second axis, by name."""
        node = ir.node("Split", [value, widths], {"axis": 1}, num_outputs=len(names), name="step/split")
        for name, piece in zip(names, node.outputs, strict=True):
            piece.name = f"step/{name}"
        self.nodes.append(node)
        return dict(zip(names, node.outputs, strict=True))

    def constant(self, name: str, numbers: list[int]) -> ir.Value:
        """A constant of integers, int64."""
        tensor = ir.tensor(np.array(numbers, np.int64), name=f"step/{name}")
        value = _value(f"step/{name}", ir.DataType.INT64, [len(numbers)])
        value.const_value = tensor
        self.graph.register_initializer(value)
        return value


def _value(name: str, kind: ir.DataType, shape: list[int | str | ir.SymbolicDim]) -> ir.Value:
    return ir.Value(name=name, type=ir.TensorType(kind), shape=ir.Shape(shape))


def _fixed(shape: ir.Shape) -> int | None:
    """The batch, if it is fixed; None if it is free."""
    return shape[0] if isinstance(shape[0], int) else None


def _images(batch: int | ir.SymbolicDim) -> int | str:
    """The number of images in a batch. An even fixed batch can have one or two rows per image, so it is left free."""
    return batch if isinstance(batch, int) and batch % 2 else "images"


def _refuse(reason: str) -> NoReturn:
    raise ExportError(f"cannot add the step to this UNet's graph: {reason}")
