"""fp16: what it is compared by, what it refuses, and the one thing that the tracer gets wrong."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from onnxscript import ir

from ddim_edge.errors import ExportError
from ddim_edge_export.component import export_into
from ddim_edge_export.graph.concat import promote_concats
from ddim_edge_export.networks.denoiser import call_unet, unet_signature
from ddim_edge_export.networks.network import Network
from ddim_edge_export.options import Options
from ddim_edge_export.precision import FP16
from ddim_edge_export.progress import ignore_stage
from ddim_edge_export.verify.fp16_overflow import record_magnitudes, to_float16

from .conftest import MakeUnet, TinyNetwork


def loader(module: torch.nn.Module) -> Callable[[], Network]:
    return lambda: Network(module=module, call=call_unet, signature=unet_signature(TinyNetwork.config))


def test_a_graph_in_fp16(make_unet: MakeUnet, tmp_path: Path) -> None:
    options = {"block_out_channels": (8,), "down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}
    unet = make_unet(**options, mid_block_type=None)
    signature = unet_signature(unet.config)
    inputs = signature.draw(4, {"height": 8, "width": 16}, seed=100)
    with torch.no_grad():
        expected = unet(**{name: torch.from_numpy(array) for name, array in inputs.items()}).sample.numpy()

    network = Network(module=unet, call=call_unet, signature=signature)
    report = export_into(tmp_path, lambda: network, unet.config, ignore_stage, Options(precision=FP16))
    assert 1e-5 < report.error < 5e-3
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    types = {value.name: value.type for value in (*session.get_inputs(), *session.get_outputs())}
    assert types == {"sample": "tensor(float16)", "timestep": "tensor(float)", "out_sample": "tensor(float16)"}
    (got,) = session.run(None, {**inputs, "sample": inputs["sample"].astype(np.float16)})
    np.testing.assert_allclose(got.astype(np.float32), expected, atol=0.02 * expected.std())


def test_layers_whose_values_overflow_stay_in_fp32(tiny: TinyNetwork, tmp_path: Path) -> None:
    """The norm behind the first layer hides its values from the output."""
    tiny.down.weight.data *= 1e5
    inputs = unet_signature(tiny.config).draw(2, {"height": 8, "width": 8}, seed=100)
    sample, timestep = map(torch.from_numpy, inputs.values())
    with torch.no_grad():
        expected = tiny.eval()(sample, timestep)
        assert not torch.isfinite(copy.deepcopy(tiny.down).half()(sample.half())).all()

    report = export_into(tmp_path / "fp16", loader(tiny), tiny.config, ignore_stage, Options(precision=FP16))
    assert report.remark == "2 of 3 layers kept in fp32, whose values reach 2.15e+05: down, norm"
    assert 1e-5 < report.error < 5e-3
    weights = {tensor.name: tensor.data_type for tensor in onnx.load(tmp_path / "fp16/model.onnx").graph.initializer}
    assert weights["network.down.weight"] == TensorProto.FLOAT
    assert weights["network.up.weight"] == TensorProto.FLOAT16
    # PyTorch rounds what each layer returns, as a GPU does, and it is finite now.
    with torch.no_grad():
        torch.testing.assert_close(tiny(sample.half(), timestep).float(), expected, atol=0.02, rtol=0.02)


class Residual(torch.nn.Module):
    """What it is given, and a convolution of it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.GroupNorm(2, 4)
        self.conv = torch.nn.Conv2d(4, 4, 1)

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.conv(self.norm(sample))
        return sample + changed


def test_a_block_that_adds_up_to_too_much() -> None:
    """The residual branch and the input are each within the limit; their sum is not."""
    torch.manual_seed(0)
    block: Any = Residual()
    network: Any = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 1), block, torch.nn.GroupNorm(2, 4), torch.nn.Conv2d(4, 2, 1)
    )
    sample = torch.ones(1, 2, 4, 4)
    network[0].weight.data.zero_()
    network[0].bias.data.fill_(3e4)
    block.conv.bias.data.fill_(3e4)
    with record_magnitudes(network) as magnitudes, torch.no_grad():
        expected = network(sample)
        kept = magnitudes.overflowing_layers()
    assert set(kept) == {"1.norm", "1.conv", "2"}
    to_float16(network, kept)
    with torch.no_grad():
        torch.testing.assert_close(network(sample.half()).float(), expected, atol=0.02, rtol=0.02)


def test_nothing_of_a_network_fits(tiny: TinyNetwork, tmp_path: Path) -> None:
    for parameter in tiny.parameters():
        parameter.data *= 1e5
    with pytest.raises(ExportError, match=r"values within the TinyNetwork reach .*, too much for fp16"):
        export_into(tmp_path / "fp16", loader(tiny), tiny.config, ignore_stage, Options(precision=FP16))


def mixed(types: tuple[int, ...]) -> ir.Model:
    """A Concat of inputs of ``types``."""
    inputs = [helper.make_tensor_value_info(f"x{index}", kind, ["n", 2]) for index, kind in enumerate(types)]
    out = TensorProto.FLOAT if TensorProto.FLOAT in types else types[0]
    node = helper.make_node("Concat", [value.name for value in inputs], ["y"], axis=1)
    graph = helper.make_graph(
        [node], "concat", inputs, [helper.make_tensor_value_info("y", out, ["n", 2 * len(types)])]
    )
    return ir.serde.deserialize_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)]))


@pytest.mark.parametrize(
    ("types", "count"),
    [
        ((TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.FLOAT16), 1),
        ((TensorProto.FLOAT16, TensorProto.FLOAT16), 0),
        ((TensorProto.FLOAT, TensorProto.FLOAT), 0),
        ((TensorProto.INT64, TensorProto.INT64), 0),
    ],
)
def test_concats_are_promoted_as_torch_does(types: tuple[int, ...], count: int) -> None:
    model = mixed(types)
    assert promote_concats(model) == count
    proto = ir.serde.serialize_model(model)
    onnx.checker.check_model(proto, full_check=True)
    arrays: dict[str, Any] = {
        f"x{index}": (np.arange(6).reshape(3, 2) + index).astype(helper.tensor_dtype_to_np_dtype(kind))
        for index, kind in enumerate(types)
    }
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, arrays)
    expected = torch.cat([torch.from_numpy(array) for array in arrays.values()], dim=1).numpy()
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
