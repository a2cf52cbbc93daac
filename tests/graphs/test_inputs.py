"""What a graph's file declares is what ONNX Runtime says of it."""

from pathlib import Path

import onnx
import onnx.parser
import onnxruntime
import pytest

from ddim_edge.errors import BundleError
from ddim_edge.graphs.inputs import declared_inputs, is_quantized, operators, quantized_operators
from tests.helpers.tiny_bundles import tiny_model

GRAPHS = sorted((Path(__file__).parents[2] / "models").glob("*/*/*.onnx"))


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_inputs_and_operators_of_the_models_here(graph: Path) -> None:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    declared = declared_inputs(graph)
    assert {name: list(found.shape) for name, found in declared.items()} == {
        entry.name: entry.shape for entry in session.get_inputs()
    }
    assert not any(found.is_half for found in declared.values())
    nodes = onnx.load(graph, load_external_data=False).graph.node
    assert operators(graph).total() == len(nodes)
    assert operators(graph)["Conv"] == sum(node.op_type == "Conv" for node in nodes)
    assert not is_quantized(graph)
    assert quantized_operators(graph) == {}


def test_half_precision_scalars_and_nameless_axes(tmp_path: Path) -> None:
    model = tiny_model(half=True, scalar_timestep=True)
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    onnx.save(model, tmp_path / "model.onnx")
    declared = declared_inputs(tmp_path / "model.onnx")
    assert declared["sample"].is_half
    assert declared["sample"] == (onnx.TensorProto.FLOAT16, ("?", 1, 8, 8))
    assert declared["timestep"] == (onnx.TensorProto.INT64, ())


def test_initializers_of_old_files_are_no_inputs(tmp_path: Path) -> None:
    model = tiny_model()
    model.graph.input.append(onnx.helper.make_tensor_value_info("gain", onnx.TensorProto.FLOAT, []))
    onnx.save(model, tmp_path / "model.onnx")
    assert list(declared_inputs(tmp_path / "model.onnx")) == ["sample", "timestep", "class_labels"]


def test_a_quantized_graph_is_known_by_its_nodes(tmp_path: Path) -> None:
    text = """<ir_version: 10, opset_import: ["" : 18]>
        g (int8[4] x) => (float[4] y) <float s = {0.5}, int8 z = {0}> { y = DequantizeLinear(x, s, z) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    assert not is_quantized(tmp_path / "model.onnx")  # of weights alone
    assert quantized_operators(tmp_path / "model.onnx") == {"DequantizeLinear": 1}
    text = text.replace("int8[4] x", "float[4] f").replace("{ y", "{ x = QuantizeLinear(f, s, z) y")
    onnx.save(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    assert is_quantized(tmp_path / "model.onnx")


@pytest.mark.parametrize("contents", [b"", b"\xff\xff\xff", b"not a graph at all"])
def test_what_is_no_graph_is_refused(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(contents)
    with pytest.raises(BundleError, match="export or copy it again"):
        declared_inputs(tmp_path / "model.onnx")
