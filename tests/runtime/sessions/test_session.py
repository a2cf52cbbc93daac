"""A session is strict about its graph, its inputs and its device."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest

import ddim_edge
from ddim_edge.generation.pipeline import SlowWarning
from ddim_edge.networks.denoiser import Denoiser
from tests.helpers.tiny_bundles import EMBEDDINGS, tiny_model, tiny_prediction, write_bundle

Feeds = dict[str, np.ndarray[Any, Any]]


@pytest.fixture
def graph(tiny_bundle: Path) -> Path:
    return tiny_bundle / "unet" / "model.onnx"


def _save(tmp_path: Path, model: onnx.ModelProto) -> Path:
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def _feeds(rows: int = 2) -> Feeds:
    rng = np.random.default_rng(0)
    return {
        "sample": rng.standard_normal((rows, 1, 8, 8), np.float32),
        "timestep": np.arange(rows) * 10,
        "class_labels": np.arange(rows),
    }


@pytest.fixture(params=["cpu", "openvino"])
def device(request: pytest.FixtureRequest) -> str:
    """ONNX Runtime, then OpenVINO's own runtime: a caller sees no difference."""
    if request.param == "openvino" and importlib.util.find_spec("openvino") is None:
        pytest.skip("openvino is not installed")
    return str(request.param)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (str(tmp_path / "unet.onnx"), tmp_path / "unet.onnx"):
        with pytest.raises(
            ddim_edge.BundleError, match=r"there is no file .*unet\.onnx: give the path of an ONNX graph"
        ):
            ddim_edge.Session(path, "cpu")


def test_it_describes_what_the_graph_declares(graph: Path, device: str) -> None:
    session = ddim_edge.Session(graph, device)
    assert (session.name, session.provider) == ("unet", device)
    assert list(map(str, session.inputs.values())) == [
        "sample float32 (batch, 1, 8, 8)",
        "timestep int64 (batch)",
        "class_labels int64 (batch)",
    ]
    assert list(session.outputs) == ["out_sample"]


def test_it_computes_the_formula(graph: Path, device: str) -> None:
    feeds = _feeds()
    result = ddim_edge.Session(graph, device).run(feeds)["out_sample"]
    expected = [tiny_prediction(feeds["sample"][row], 10 * row, row) for row in range(2)]
    np.testing.assert_array_equal(result, np.stack(expected))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_inputs_are_cast_to_what_the_graph_declares(graph: Path, dtype: type[np.generic], device: str) -> None:
    session, feeds = ddim_edge.Session(graph, device), _feeds()
    cast = {**feeds, "timestep": feeds["timestep"].astype(dtype), "sample": feeds["sample"].astype(np.float64)}
    np.testing.assert_array_equal(session.run(cast)["out_sample"], session.run(feeds)["out_sample"])


@pytest.mark.parametrize("wrong", [499.9, np.nan, np.inf, 2.0**70])
def test_numbers_that_an_integer_input_does_not_have_are_refused(graph: Path, wrong: float, device: str) -> None:
    session, feeds = ddim_edge.Session(graph, device), _feeds()
    with pytest.raises(ddim_edge.BundleError, match=r"unet's input timestep int64 .* whole numbers .* was given"):
        session.run({**feeds, "timestep": np.array([499, wrong])})


def test_whole_numbers_beyond_a_smaller_integer_type_are_refused(tmp_path: Path, device: str) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]> g (int32[n] x) => (int32[n] y) { y = Identity(x) }'
    )
    session = ddim_edge.Session(_save(tmp_path, model), device)
    np.testing.assert_array_equal(session.run({"x": np.array([7])})["y"], [7])
    with pytest.raises(ddim_edge.BundleError, match="was given 4294967296"):
        session.run({"x": np.array([2**32])})


def test_memory_order_does_not_matter(graph: Path, device: str) -> None:
    session, feeds = ddim_edge.Session(graph, device), _feeds()
    turned = {**feeds, "sample": np.asfortranarray(feeds["sample"])}
    np.testing.assert_array_equal(session.run(turned)["out_sample"], session.run(feeds)["out_sample"])


def test_half_precision_is_fed_and_answered_as_float32(tmp_path: Path) -> None:
    session = ddim_edge.Session(_save(tmp_path, tiny_model(half=True)), "cpu")
    assert session.inputs["sample"].dtype == np.float16
    assert session.run(_feeds())["out_sample"].dtype == np.float16
    with pytest.warns(SlowWarning, match=r"half is in fp16, which a CPU runs slower"):
        pipeline = ddim_edge.load(write_bundle(tmp_path / "half", tiny_model(half=True)), "cpu")
    whole = ddim_edge.load(write_bundle(tmp_path / "whole"), "cpu")
    np.testing.assert_allclose(
        pipeline.generate(num_steps=3).images.astype(int), whole.generate(num_steps=3).images.astype(int), atol=2
    )


def test_a_scalar_timestep_takes_a_scalar(tmp_path: Path, device: str) -> None:
    session = ddim_edge.Session(_save(tmp_path, tiny_model(scalar_timestep=True, classes=False)), device)
    sample = _feeds()["sample"]
    for timestep in (np.array(7), np.array(7.0, np.float32), np.arange(9)[7]):
        result = session.run({"sample": sample, "timestep": timestep})["out_sample"]
        np.testing.assert_array_equal(result, tiny_prediction(sample, 7))


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"sample": 0, "timestep": 0}, "unet needs the inputs sample, timestep, class_labels, and was given sample"),
        ({}, "was given none"),
        ({**_feeds(), "class_label": 0}, "was given sample, timestep, class_labels, class_label"),
    ],
)
def test_missing_and_unknown_inputs_are_named(graph: Path, feeds: Feeds, message: str, device: str) -> None:
    with pytest.raises(ddim_edge.BundleError, match=message):
        ddim_edge.Session(graph, device).run(feeds)


@pytest.mark.parametrize("shape", [(2, 8, 8), (2, 3, 8, 8), (2, 1, 8, 9), ()])
def test_a_wrong_rank_or_fixed_dimension_is_named(graph: Path, shape: tuple[int, ...], device: str) -> None:
    feeds = {**_feeds(), "sample": np.zeros(shape, np.float32)}
    with pytest.raises(ddim_edge.BundleError, match=r"input sample float32 \(batch, 1, 8, 8\) does not take the shape"):
        ddim_edge.Session(graph, device).run(feeds)


def test_a_fixed_batch_refuses_another(tmp_path: Path, device: str) -> None:
    folder = write_bundle(tmp_path / "bundle", tiny_model(batch=2))
    session = ddim_edge.Session(folder / "unet" / "model.onnx", device)
    with pytest.raises(ddim_edge.BundleError, match=r"sample float32 \(2, 1, 8, 8\) does not take the shape \(3, 1"):
        session.run(_feeds(3))


def test_a_failure_of_the_runtime_is_wrapped(graph: Path) -> None:
    feeds = {**_feeds(), "class_labels": np.array([0, len(EMBEDDINGS)])}
    with pytest.raises(ddim_edge.ProviderError, match="unet failed on cpu: ") as caught:
        ddim_edge.Session(graph, "cpu").run(feeds)
    assert "\n" not in str(caught.value)


def test_an_unusable_graph_is_a_bundle_error(tmp_path: Path) -> None:
    model = tiny_model()
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(
        ddim_edge.BundleError, match=r"model\.onnx cannot be loaded: .*NoSuchOperator.* Export it again"
    ):
        ddim_edge.Session(_save(tmp_path, model), "cpu")


def test_a_type_without_a_numpy_type_is_a_bundle_error(tmp_path: Path) -> None:
    source = (
        '<ir_version: 10, opset_import: ["" : 18]> g (string[n] words) => (string[n] out) { out = Identity(words) }'
    )
    with pytest.raises(ddim_edge.BundleError, match=r"'words' has the type tensor\(string\)"):
        ddim_edge.Session(_save(tmp_path, onnx.parser.parse_model(source)), "cpu")


def test_a_network_of_another_signature_is_no_denoiser(tmp_path: Path) -> None:
    source = (
        '<ir_version: 10, opset_import: ["" : 18]> g (float[n] sample) => (float[n] out) { out = Identity(sample) }'
    )
    session = ddim_edge.Session(_save(tmp_path, onnx.parser.parse_model(source)), "cpu")
    with pytest.raises(ddim_edge.BundleError, match="has no input 'timestep': it has sample"):
        Denoiser(session)


def test_a_network_that_returns_another_shape_is_no_denoiser(tmp_path: Path) -> None:
    source = """<ir_version: 10, opset_import: ["" : 18]>
    g (float[batch, 1, 8, 8] sample, int64[batch] timestep) => (float[batch, 3, 8, 8] out)
    { out = Concat<axis = 1>(sample, sample, sample) }"""
    bundle = write_bundle(tmp_path / "bundle", onnx.parser.parse_model(source), labels=None)
    with pytest.raises(
        ddim_edge.BundleError, match="it is no denoiser, which returns that shape, or twice the channels"
    ):
        ddim_edge.load(bundle, "cpu").generate(num_steps=1)


def test_importing_the_package_loads_neither_torch_nor_onnxruntime() -> None:
    code = (
        "import sys, ddim_edge, ddim_edge.cli; print({'torch', 'onnxruntime', 'diffusers', 'onnx'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
