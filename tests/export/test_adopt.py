"""A graph of another author becomes a bundle that computes the same, by our names."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from ddim_edge.bundle.verify import verify_files
from ddim_edge.errors import BundleError, ConfigError
from ddim_edge_export import Adoption, adopt_graph
from tests.helpers.foreign_graph import foreign_graph
from tests.helpers.tiny_bundles import write_json

NAMES = {"sample": "x", "timestep": "s"}
SIGMA = {"_class_name": "EDMEulerScheduler"}


def adoption(folder: Path, *, scheduler: dict[str, Any] | None = None, **graph: str) -> Adoption:
    onnx.save_model(foreign_graph(**graph), folder / "foreign.onnx")
    write_json(folder / "scheduler.json", scheduler or {"_class_name": "DDIMScheduler"})
    return Adoption(graph=folder / "foreign.onnx", scheduler=folder / "scheduler.json", names=NAMES, output="mean")


def predict(graph: Path, **inputs: Any) -> Any:
    """What the graph of a bundle returns for two rows."""
    feeds = {"sample": np.ones((2, 2, 4), np.float32), "goal": np.array([[1, 2, 3], [4, 5, 6]], np.float32), **inputs}
    return onnxruntime.InferenceSession(graph).run(["out_sample"], feeds)[0]


def expected(below: float) -> Any:
    return np.broadcast_to(np.array([21, 51], np.float32).reshape(2, 1, 1) / np.float32(1 + below), (2, 2, 4))


def test_the_copy_has_our_names_and_returns_the_same(tmp_path: Path) -> None:
    adopted = adopt_graph(adoption(tmp_path), tmp_path / "out")
    assert (adopted.sample_shape, set(adopted.conditioning), adopted.sampler) == ((2, 4), {"goal"}, "ddim")
    graph = tmp_path / "out/unet/model.onnx"
    model = onnx.load(graph)
    assert [value.name for value in model.graph.input] == ["sample", "timestep", "goal"]
    assert [value.name for value in model.graph.output] == ["out_sample"]
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(predict(graph, timestep=np.array([1, 1], np.float32)), expected(1), rtol=1e-6)
    assert verify_files(tmp_path / "out") == 3
    record = json.loads((tmp_path / "out/export.json").read_text())
    assert (record["adopted_from"]["inputs"], record["adopted_from"]["output"]) == (NAMES, "mean")


def test_a_bundle_says_its_shape_and_what_the_network_is_fed(tmp_path: Path) -> None:
    wanted = dataclasses.replace(adoption(tmp_path, scheduler=SIGMA), timestep="sigma", preconditioning="inside")
    adopt_graph(wanted, tmp_path / "out")
    assert json.loads((tmp_path / "out/unet/config.json").read_text()) == {"sample_shape": [2, 4]}
    keys = json.loads((tmp_path / "out/scheduler/scheduler_config.json").read_text())
    assert keys == {**SIGMA, "timestep_type": "sigma", "prediction_type": "sample"}


@pytest.mark.parametrize("time", ["float[n]", "float[n, 1, 1]", "float", "float[1]", "int64[n]", "float16[n, 1]"])
def test_a_timestep_of_any_shape_is_one_number_for_each_row(time: str, tmp_path: Path) -> None:
    adopt_graph(adoption(tmp_path, time=time), tmp_path / "out")
    graph = tmp_path / "out/unet/model.onnx"
    declared = onnxruntime.InferenceSession(graph).get_inputs()[1]
    is_scalar = time in ("float", "float[1]")
    assert len(declared.shape) == (0 if is_scalar else 1)
    kind = {"tensor(int64)": np.int64, "tensor(float16)": np.float16}.get(declared.type, np.float32)
    timestep = np.array(3, kind) if is_scalar else np.array([3, 3], kind)
    np.testing.assert_allclose(predict(graph, timestep=timestep), expected(3), rtol=1e-6)


@pytest.mark.parametrize("time", ["float[n]", "float[n, 1]", "float16[n]", "float[1]"])
def test_a_timestep_can_be_a_fraction_of_the_training_steps(time: str, tmp_path: Path) -> None:
    adopt_graph(dataclasses.replace(adoption(tmp_path, time=time), timestep="fraction"), tmp_path / "out")
    timestep = np.array(500 if time == "float[1]" else [500, 500], np.float32)
    got = predict(tmp_path / "out/unet/model.onnx", timestep=timestep)
    np.testing.assert_allclose(got, expected(0.5), rtol=1e-6)


def test_free_axes_are_given(tmp_path: Path) -> None:
    wanted = adoption(tmp_path, shape="channels, length")
    with pytest.raises(ConfigError, match=r"the shape \[n,channels,length\], with free axes.* --sample-shape"):
        adopt_graph(wanted, tmp_path / "out")
    adopted = adopt_graph(dataclasses.replace(wanted, shape=(3, 5)), tmp_path / "out")
    assert adopted.sample_shape == (3, 5)
    assert onnxruntime.InferenceSession(tmp_path / "out/unet/model.onnx").get_inputs()[0].shape == ["n", 3, 5]


def test_weights_in_other_files_are_copied(tmp_path: Path) -> None:
    wanted = adoption(tmp_path)
    (tmp_path / "weights").mkdir()
    model = foreign_graph()
    big = next(tensor for tensor in model.graph.initializer if tensor.name == "sample")
    big.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(big), big.name))
    onnx.external_data_helper.set_external_data(big, "weights/all.bin")
    onnx.save_model(model, wanted.graph)
    adopt_graph(wanted, tmp_path / "out")
    assert (tmp_path / "out/unet/weights/all.bin").read_bytes() == (tmp_path / "weights/all.bin").read_bytes()
    got = predict(tmp_path / "out/unet/model.onnx", timestep=np.array([1, 1], np.float32))
    np.testing.assert_allclose(got, expected(1), rtol=1e-6)
    (tmp_path / "weights/all.bin").unlink()
    with pytest.raises(BundleError, match="is missing"):
        adopt_graph(wanted, tmp_path / "second")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": {}}, r"which input is the sample\? Give --map sample=NAME: the graph takes x \[n,2,4\], s \[n\]"),
        ({"names": {"sample": "x"}}, "which input is the timestep"),
        ({"names": {**NAMES, "sample": "y"}}, "--map: input 'y' is unknown"),
        ({"names": {**NAMES, "goal": "x", "sample": "s", "timestep": "x"}}, "two inputs would be called goal"),
        ({"names": {**NAMES, "out_sample": "goal"}}, "out_sample is the name of the output"),
        ({"names": {**NAMES, "class_labels": "goal"}}, "--map given_class_labels=goal, and it is conditioning"),
        ({"output": None}, r"which output is the prediction\? Give --output NAME: the graph returns mean, spread"),
        ({"output": "depth"}, r"--output: output 'depth' is unknown. Valid: mean, spread\."),
        ({"output": "spread"}, r"returns float32 \(2,\) for samples of \(2, 2, 4\): .* another output"),
        ({"timestep": "sigma"}, "--timestep sigma is for a scheduler of σ-space, .* and not for DDIMScheduler"),
        ({"preconditioning": "inside"}, "--preconditioning inside is for a scheduler of σ-space"),
        ({"timestep": "seconds"}, "timestep 'seconds' is unknown"),
        ({"shape": (2, 5)}, r"--sample-shape 2x5 does not fit the graph's sample \[n,2,4\]"),
        ({"shape": (2, 4, 1)}, "--sample-shape 2x4x1 does not fit"),
        ({"shape": (2,)}, "--sample-shape 2 does not fit"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    wanted = dataclasses.replace(adoption(tmp_path), **changes)
    with pytest.raises(ConfigError, match=message) as caught:
        adopt_graph(wanted, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_graph_that_says_nothing_of_its_sample(tmp_path: Path) -> None:
    wanted = adoption(tmp_path)
    model = foreign_graph()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save_model(model, wanted.graph)
    with pytest.raises(ConfigError, match="declares no shape for its sample: give --sample-shape"):
        adopt_graph(wanted, tmp_path / "out")
    assert adopt_graph(dataclasses.replace(wanted, shape=(2, 4)), tmp_path / "out").sample_shape == (2, 4)


def test_a_graph_of_whole_timesteps(tmp_path: Path) -> None:
    wanted = dataclasses.replace(adoption(tmp_path, time="int64[n]"), timestep="fraction")
    with pytest.raises(ConfigError, match="takes whole timesteps, so it is fed an index"):
        adopt_graph(wanted, tmp_path / "out")
    write_json(wanted.scheduler, SIGMA)
    with pytest.raises(ConfigError, match="takes whole timesteps, and EDMEulerScheduler feeds"):
        adopt_graph(dataclasses.replace(wanted, timestep="index"), tmp_path / "out")


def test_files_that_are_none(tmp_path: Path) -> None:
    wanted = adoption(tmp_path)
    wanted.scheduler.write_text('{"_class_name": "NoSuchScheduler"}')
    with pytest.raises(ConfigError, match=r"scheduler.json: _class_name 'NoSuchScheduler'"):
        adopt_graph(wanted, tmp_path / "out")
    write_json(wanted.scheduler, {"_class_name": "DDIMScheduler"})
    wanted.graph.write_bytes(b"no graph")
    with pytest.raises(BundleError, match="is not an ONNX graph"):
        adopt_graph(wanted, tmp_path / "out")
    wanted.graph.unlink()
    with pytest.raises(BundleError, match="is not there"):
        adopt_graph(wanted, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nan_at_the_first_timestep_is_refused(tmp_path: Path) -> None:
    wanted = adoption(tmp_path)
    model = foreign_graph()
    one = next(tensor for tensor in model.graph.initializer if tensor.name == "one")
    one.CopyFrom(onnx.numpy_helper.from_array(np.array(np.nan, np.float32), "one"))
    onnx.save_model(model, wanted.graph)
    with pytest.raises(ConfigError, match="returns NaN or infinity"):
        adopt_graph(wanted, tmp_path / "out")


def test_an_input_of_another_kind_is_refused(tmp_path: Path) -> None:
    wanted = adoption(tmp_path)
    model = foreign_graph()
    model.graph.input.append(onnx.helper.make_tensor_value_info("words", onnx.TensorProto.STRING, ["n"]))
    onnx.save_model(model, wanted.graph)
    with pytest.raises(ConfigError, match=r"words is tensor\(string\)"):
        adopt_graph(wanted, tmp_path / "out")


def test_a_bundle_that_the_check_refuses_does_not_appear(tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        assert (folder / "unet/model.onnx").is_file()
        raise BundleError(f"{folder} is wrong")

    with pytest.raises(ConfigError, match=f"^the bundle would not run: {tmp_path}/out is wrong$"):
        adopt_graph(adoption(tmp_path), tmp_path / "out", refuse)
    assert not (tmp_path / "out").exists()
