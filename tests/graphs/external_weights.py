"""Graphs whose weights lie in other files."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from ddim_edge.graphs.external_data import check_onnx_file


def check(folder: Path, contents: bytes) -> list[Path]:
    path = folder / "unet" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(contents)
    return check_onnx_file(path, folder)


def external(location: str, *, offset: int = 0, length: int = 16) -> onnx.TensorProto:
    """Four floats of which the model only says where they lie."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "weights")
    set_external_data(tensor, location, offset, length)
    tensor.ClearField("raw_data")
    return tensor


def with_nodes(*nodes: onnx.NodeProto, initializer: list[onnx.TensorProto] | None = None) -> onnx.ModelProto:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    return helper.make_model(helper.make_graph(list(nodes), "graph", [], [output], initializer))


def with_initializer(tensor: onnx.TensorProto) -> onnx.ModelProto:
    return with_nodes(helper.make_node("Identity", ["weights"], ["y"]), initializer=[tensor])
