"""ONNX graphs: protobuf messages with fields changed, and the bytes of their files damaged."""

import functools
import random
from collections.abc import Callable

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto

from . import base_bundles, external_data
from .base_bundles import run_or_inspect
from .case import Case, File, special
from .values import damaged_bytes

_OPERATORS = (
    "Add", "Mul", "Cast", "Gather", "Reshape", "Loop", "Scan", "If", "Conv", "Concat", "Einsum", "Nonsense",
    "Unsqueeze", "Attention", "GridSample", "Expand", "Resize", "Identity", "RandomNormal", "ConstantOfShape",
)  # fmt: skip
_DIMENSIONS = (0, 1, 2, 3, 7, -1, 2**31, 2**40, 2**63 - 1)


def draw(generator: random.Random) -> Case:
    """A bundle with one damaged graph, run or inspected."""
    if generator.random() < 0.3:
        return external_data.draw(generator)
    is_text = generator.random() < 0.5
    files: dict[str, File] = dict(base_bundles.text_to_image() if is_text else base_bundles.classes())
    name = generator.choice([name for name in files if name.endswith(".onnx")])
    files[name] = _damaged(generator, files[name])
    return Case(run_or_inspect(generator, is_text), base_bundles.in_bundle(files))


def _damaged(generator: random.Random, graph: File) -> File:
    if generator.random() < 0.03:
        return special(generator)
    assert isinstance(graph, bytes)
    if generator.random() < 0.3:
        return _damaged_file(generator, graph)
    model = onnx.load_from_string(graph)
    for _ in range(generator.choice([1, 1, 2, 3])):
        generator.choice(_CHANGES)(generator, model)
    contents: bytes = model.SerializeToString()
    return contents


def _damaged_file(generator: random.Random, graph: bytes) -> bytes:
    """Bytes that are no longer what protobuf writes: cut off, changed, nested, with lengths that are too large."""
    at = generator.randrange(len(graph))
    return generator.choice([
        graph[:at],
        damaged_bytes(generator, graph),
        graph[:at] + b"\xff" * 9 + b"\x01" + graph[at:],
        b"\x3a\xff\xff\xff\xff\x0f" + graph,
        _nested(2000),
        b"",
        graph + graph,
        bytes(10_000),
    ])  # fmt: skip


@functools.cache
def _nested(depth: int) -> bytes:
    """A graph in an attribute of a node of a graph, ``depth`` times."""
    data = b""
    for _ in range(depth):
        attribute = _field(6, data) + b"\x0a\x01a" + b"\xa0\x01\x05"
        data = _field(1, _field(4, b"If") + _field(5, attribute))
    return b"\x08\x0a" + _field(7, data)


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field of protobuf."""
    length, varint = len(data), bytearray()
    while length > 127:
        varint.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | 2, *varint, length]) + data


def _types(generator: random.Random, model: ModelProto) -> None:
    """The element type of an input or output."""
    info = _any_info(generator, model.graph)
    if info is not None:
        info.type.tensor_type.elem_type = generator.choice([0, 1, 2, 7, 8, 9, 10, 11, 16, 17, 23, 99])


def _shapes(generator: random.Random, model: ModelProto) -> None:
    """The rank or a dimension of an input or output, or its whole type."""
    info = _any_info(generator, model.graph)
    if info is None:
        return
    dims = info.type.tensor_type.shape.dim
    kind = generator.randrange(5)
    if kind == 0 and dims:
        del dims[-1]
    elif kind == 1:
        dims.add(dim_value=generator.choice(_DIMENSIONS))
    elif kind == 2 and dims:
        generator.choice(dims).dim_value = generator.choice(_DIMENSIONS)
    elif kind == 3 and dims:
        generator.choice(dims).dim_param = generator.choice(["", "batch", "other", "x" * 5000, "é"])
    else:
        info.ClearField("type")


def _names(generator: random.Random, model: ModelProto) -> None:
    """The name of an input or output, or of what a node reads."""
    graph = model.graph
    named = [*graph.input, *graph.output, *graph.initializer]
    if generator.random() < 0.5 and named:
        generator.choice(named).name = generator.choice(["", "sample", "timestep", "out_sample", "other", "x" * 5000])
    elif graph.node:
        node = generator.choice(graph.node)
        shuffled = generator.sample(list(node.input), len(node.input))
        node.input[:] = [*shuffled, generator.choice(["", "none", *node.output])]


def _fewer(generator: random.Random, model: ModelProto) -> None:
    """Outputs, inputs, nodes or weights taken away: all, or one."""
    field = getattr(model.graph, generator.choice(["output", "input", "node", "initializer"]))
    if field and generator.random() < 0.6:
        del field[generator.randrange(len(field))]
    else:
        del field[:]


def _more(generator: random.Random, model: ModelProto) -> None:
    """An input, output, node or weight twice."""
    field = getattr(model.graph, generator.choice(["output", "input", "node", "initializer"]))
    if field:
        field.add().CopyFrom(generator.choice(field))


def _nodes(generator: random.Random, model: ModelProto) -> None:
    """Another operator or domain, or other attributes."""
    if not model.graph.node:
        return
    node = generator.choice(model.graph.node)
    kind = generator.randrange(3)
    if kind == 0:
        node.op_type = generator.choice(_OPERATORS)
    elif kind == 1:
        node.domain = generator.choice(["com.microsoft", "ai.onnx.ml", "evil", "x" * 5000])
    elif node.attribute:
        attribute = generator.choice(node.attribute)
        attribute.i = generator.choice([0, -1, 2, 99, 2**40])
    else:
        node.attribute.add(name="axis", i=generator.choice([0, -9, 2**40]), type=AttributeProto.INT)


def _weights(generator: random.Random, model: ModelProto) -> None:
    """A weight's type, shape or contents: too many, too few, not finite."""
    if not model.graph.initializer:
        return
    tensor = generator.choice(model.graph.initializer)
    kind = generator.randrange(5)
    if kind == 0:
        tensor.data_type = generator.choice([0, 1, 2, 6, 7, 8, 10, 11, 99])
    elif kind == 1:
        tensor.dims[:] = generator.choice([[], [0], [-1], [2**40], [2**31, 2**31], [1] * 60, [3, 5]])
    elif kind == 2:
        tensor.raw_data = generator.choice([b"", b"\x00", b"\xff" * 64, tensor.raw_data * 3])
    elif kind == 3:
        tensor.raw_data = b"\x00\x00\xc0\x7f" * (len(tensor.raw_data) // 4)
    else:
        tensor.data_location = TensorProto.EXTERNAL


def _header(generator: random.Random, model: ModelProto) -> None:
    """The versions, and texts that nothing needs."""
    kind = generator.randrange(4)
    if kind == 0:
        model.ir_version = generator.choice([0, -1, 3, 14, 99, 2**40])
    elif kind == 1 and model.opset_import:
        model.opset_import[0].version = generator.choice([0, -1, 1, 7, 13, 99, 2**40])
    elif kind == 2:
        del model.opset_import[:]
    else:
        model.metadata_props.add(key=generator.choice(["", "a", "x" * 5000]), value="x" * 5000)
        model.doc_string = "x" * 100_000


def _any_info(generator: random.Random, graph: GraphProto) -> onnx.ValueInfoProto | None:
    infos = [*graph.input, *graph.output]
    return generator.choice(infos) if infos else None


_CHANGES: tuple[Callable[[random.Random, ModelProto], None], ...] = (
    _types, _shapes, _shapes, _names, _fewer, _more, _nodes, _weights, _header,
)  # fmt: skip
