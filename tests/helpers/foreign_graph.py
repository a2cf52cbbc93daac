"""A graph as another program might have exported it: ``(x + 10·mean(goal)) / (1 + s)``, beside a second output."""

import onnx
import onnx.parser

_GRAPH = """<ir_version: 10, opset_import: ["" : 18]>
foreign (TYPE[n, SHAPE] x, TIME s, float[n, 3] goal) => (float[n, SHAPE] mean, float[n] spread)
<float[3, 1] sample = {10.0, 10.0, 10.0}, float one = {1.0}, float third = {3.0}, int64[3] column = {-1, 1, 1}> {
    total = MatMul(goal, sample)
    wide = Div(total, third)
    timestep = Reshape(wide, column)
    moved = Add(x, timestep)
    seconds = Cast<to = 1>(s)
    level = Reshape(seconds, column)
    below = Add(level, one)
    mean = Div(moved, below)
    spread = ReduceMax<keepdims = 0, noop_with_empty_axes = 0>(mean, axes)
}"""


def foreign_graph(*, shape: str = "2, 4", time: str = "float[n]", element: str = "float") -> onnx.ModelProto:
    """The graph. Within it two values are called ``sample`` and ``timestep``, which are not its sample and timestep."""
    text = _GRAPH.replace("SHAPE", shape).replace("TIME", time).replace("TYPE", element)
    return onnx.parser.parse_model(text.replace("column = {-1, 1, 1}", "column = {-1, 1, 1}, int64[2] axes = {1, 2}"))
