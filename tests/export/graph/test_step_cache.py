"""Skip connections and branches, found in a graph by itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnx.parser
import pytest
from onnxscript import ir

from ddim_edge.errors import ConfigError, ExportError
from ddim_edge_export.graph.step_cache import add_deep_features, count_parameters, keep_shallow, remove_deep_features

MODELS = Path(__file__).parents[3] / "models"
INPUTS = "float[batch, 2, height, width] sample, int64[batch] timestep"
HEAD = f'<ir_version: 10, opset_import: ["": 20]> unet ({INPUTS}) => (float[batch, 2, height, width] out_sample)'
WEIGHTS = "<float[2, 2, 1, 1] w = {1, 0, 0, 1}, float[2, 4, 1, 1] join = {1, 0, 0, 1, 1, 0, 0, 1}>"
ONE_LEVEL = f"""{HEAD} {WEIGHTS} {{
    first = Conv (sample, w)
    middle = Conv (first, w)
    late = Concat <axis = 1> (middle, first)
    out_sample = Conv (late, join)
}}"""
BESIDE = f"""{HEAD} {WEIGHTS} {{
    first = Conv (sample, w)
    second = Conv (first, w)
    middle = Conv (second, w)
    early = Concat <axis = 1> (middle, second)
    hidden = Conv (early, join)
    image = Conv (early, join)
    late = Concat <axis = 1> (hidden, first)
    outer = Conv (late, join)
    out_sample = Add (outer, image)
}}"""


def parsed(text: str) -> ir.Model:
    return ir.serde.deserialize_model(onnx.parser.parse_model(text))


def bundled(name: str) -> ir.Model:
    return ir.load(MODELS / name / "unet" / "model.onnx")


def names(values: Any) -> list[str]:
    return [str(value.name) for value in values]


def test_the_branches_of_a_last_block_of_two_resnets() -> None:
    sizes = []
    for branch in (0, 1):
        model = bundled("fashion-mnist")
        whole = count_parameters(model)
        add_deep_features(model, branch)
        assert names(model.graph.outputs) == ["out_sample", "deep_features"]
        assert count_parameters(model) == whole
        keep_shallow(model)
        assert names(model.graph.outputs) == ["out_sample"]
        assert names(model.graph.inputs)[-1] == "deep_features"
        sizes.append(count_parameters(model) / whole)
    assert sizes[0] < sizes[1] < 0.3
    with pytest.raises(ConfigError, match=r"branch 2 must be from 0 to 1 for this unet, whose last up block has 2 r"):
        add_deep_features(bundled("fashion-mnist"), 2)


def test_no_shape_is_taken_from_a_block_that_is_left_out() -> None:
    """The norms of the exported graph share shapes with those of the inner blocks."""
    model = bundled("fashion-mnist")
    add_deep_features(model, 0)
    keep_shallow(model)
    assert sum(node.op_type == "Concat" and node.attributes.get_int("axis") == 1 for node in model.graph) == 1
    assert sum(node.op_type == "Conv" for node in model.graph) == 5


def test_another_branch_replaces_the_first() -> None:
    once, twice = bundled("fashion-mnist"), bundled("fashion-mnist")
    add_deep_features(twice, 1)
    for model in (once, twice):
        add_deep_features(model, 0)
    assert names(twice.graph.outputs) == names(once.graph.outputs)
    assert [node.op_type for node in twice.graph] == [node.op_type for node in once.graph]
    remove_deep_features(twice)
    assert names(twice.graph.outputs) == ["out_sample"]


def test_an_input_that_only_the_inner_blocks_read_is_left_out() -> None:
    model = parsed(ONE_LEVEL)
    add_deep_features(model, 0)
    keep_shallow(model)
    assert names(model.graph.inputs) == ["sample", "deep_features"]
    with pytest.raises(ConfigError, match=r"branch 1 must be 0 for this unet, whose last up block has 1 resnet$"):
        add_deep_features(parsed(ONE_LEVEL), 1)


def swapped(text: str) -> str:
    """The hidden state is no part of the skip: the Concat joins two images."""
    return text.replace("Conv (first, w)", "Conv (sample, w)")


def with_residual(text: str) -> str:
    return text.replace(INPUTS, f"{INPUTS}, float[batch, 2] mid_block_additional_residual")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swapped, "it has no skip connections, as a UNet has"),
        (with_residual, "it takes the residuals of ControlNets"),
    ],
)
def test_a_graph_without_deep_features(change: Callable[[str], str], message: str) -> None:
    with pytest.raises(ExportError, match=f"this graph has no deep features to cache: {message}"):
        add_deep_features(parsed(change(ONE_LEVEL)), 0)


def test_inner_blocks_that_pass_on_an_image_too() -> None:
    """As those of score_sde do, which add an image of each level."""
    model = parsed(BESIDE)
    add_deep_features(model, 0)
    with pytest.raises(ExportError, match="its inner blocks pass on more than one hidden state"):
        keep_shallow(model)
