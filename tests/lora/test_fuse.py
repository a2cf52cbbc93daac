"""LoRAs in the weights of a copy of a bundle: the numbers, the files that stay, and the records."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

import ddim_edge
from ddim_edge.bundle.verify import verify_files
from ddim_edge.graphs.initializers import weights_of
from ddim_edge.lora.number_types import BFLOAT16, FLOAT, FLOAT16, from_float32, to_float32
from tests.helpers.command_line import Invoke
from tests.helpers.lora_bundles import WEIGHTS, changes_of, prediction, product, with_changes, write_lora_bundle
from tests.lora.conftest import WriteLora

MATRICES = changes_of(3, 3)
CHANGES = {name: 2 * product(pair) for name, pair in MATRICES.items()}


@pytest.mark.parametrize("external", [False, True])
def test_the_weights_of_the_copy_are_changed_and_nothing_else(
    external: bool, tmp_path: Path, write_lora: WriteLora, invoke: Invoke
) -> None:
    before = write_lora_bundle(tmp_path / "plain", slots=False, external=external)
    outcome = invoke("lora", f"{write_lora('style', MATRICES)}:0.5", before, "--fuse", "fused")
    assert (outcome.code, outcome.err) == (0, "")
    after = ddim_edge.load("fused", "cpu").denoiser.session
    sample = np.random.default_rng(0).standard_normal((1, 3, 4, 4)).astype(np.float32)
    made = after.run({"sample": sample, "timestep": np.zeros(1, np.float32)})["out_sample"]
    np.testing.assert_allclose(made, prediction(sample, 0, with_changes(CHANGES, 0.5)), rtol=0, atol=1e-5)
    unchanged = ddim_edge.load(before, "cpu").denoiser.session.run({"sample": sample, "timestep": np.zeros(1)})
    np.testing.assert_allclose(unchanged["out_sample"], prediction(sample, 0), rtol=0, atol=1e-5)
    record = json.loads(Path("fused/export.json").read_text())
    (noted,) = record["fused_loras"]
    assert (noted["file"], noted["scale"]) == ("style.safetensors", 0.5)
    assert verify_files(Path("fused")) == len(record["files"])
    models = [onnx.load(folder / "unet/model.onnx") for folder in (before, Path("fused"))]
    first, second = ([node.op_type for node in model.graph.node] for model in models)
    assert first == second


def test_weights_are_found_where_onnx_finds_them(tmp_path: Path) -> None:
    for external in (False, True):
        folder = write_lora_bundle(tmp_path / str(external), external=external)
        found = {weight.name: weight for weight in weights_of(folder / "unet/model.onnx", folder)}
        for name, expected in WEIGHTS.items():
            weight = found[f"network.{name}.weight{'.transposed' if expected.ndim == 2 else ''}"]
            contents = weight.path.read_bytes()[weight.start : weight.start + weight.size]
            stored = to_float32(contents, weight.element).reshape(weight.shape)
            np.testing.assert_array_equal(stored if expected.ndim == 4 else stored.T, expected)


def test_numbers_are_rounded_to_the_nearest() -> None:
    exact = np.array([1.0, -2.5, 0.0, 65504.0], np.float32)
    for element in (FLOAT, FLOAT16, BFLOAT16):
        back = to_float32(from_float32(exact, element), element)
        np.testing.assert_allclose(back, exact, rtol=0.004)
    between = np.array([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-12], np.float32)  # bfloat16 has steps of 2^-7 there
    np.testing.assert_array_equal(to_float32(from_float32(between, BFLOAT16), BFLOAT16), [1, 1 + 2**-6, 1 + 2**-7])


def test_a_graph_that_does_not_name_its_weights(tmp_path: Path, write_lora: WriteLora, invoke: Invoke) -> None:
    bundle = write_lora_bundle(tmp_path / "old", slots=False)
    graph = bundle / "unet/model.onnx"
    model = onnx.load(graph)
    for value in model.graph.initializer:
        value.name = value.name.replace("network.wide.weight.transposed", "val_7")
    for node in model.graph.node:
        node.input[:] = [name.replace("network.wide.weight.transposed", "val_7") for name in node.input]
    onnx.save(model, graph)
    fused = invoke("lora", write_lora("style", MATRICES), bundle, "--fuse", "fused")
    assert fused.failed_with("unet does not name its weights", "export the model again, or with --lora FILE")
    assert not Path("fused").exists()


def test_a_lora_of_another_network(tmp_path: Path, write_lora: WriteLora, invoke: Invoke) -> None:
    bundle, (up, down) = write_lora_bundle(tmp_path / "plain", slots=False), MATRICES["wide"]
    outcome = invoke("lora", write_lora("style", {"elsewhere": (up, down)}), bundle, "--fuse", "fused")
    assert outcome.failed_with("1 keys match no layer of the unet", "another base model")
    assert invoke("lora", "missing.safetensors", bundle, "--fuse", "fused").failed_with("cannot read the LoRA missing")
    assert not Path("fused").exists()
