"""What a network costs a GPU: operations, memory, and the floor of its time."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import pytest
from numpy.typing import NDArray

from bench.on_gpu.cost import Cost, Work, cost_of
from bench.on_gpu.peaks import measured, published


def write(folder: Path, text: str, **weights: Any) -> Path:
    """A graph; ``weights``: arrays, by name."""
    model = onnx.parser.parse_model(text)
    for name, array in weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.checker.check_model(model)
    onnx.save_model(model, folder / "model.onnx")
    return folder / "model.onnx"


def zeros(*shape: int, kind: type[np.generic] = np.float32) -> NDArray[Any]:
    return np.zeros(shape, kind)


def test_operations_of_every_node_that_multiplies(tmp_path: Path) -> None:
    """Against their closed forms: a multiplication and an addition a term."""
    path = write(
        tmp_path,
        """<ir_version: 10, opset_import: ["" : 23]>
        g (float[batch, 4, height, width] x, float[batch, 8, 5, 6] q, float[batch, 2, 7, 6] k, float[batch, 2, 7, 3] v,
           float[batch, 5, 48] q3, float[batch, 7, 12] k3, float[batch, 7, 10] v3, float[6, 8] a)
        => (float[batch, 2, u, w] up, float[batch, 8, 5, 3] h, float[batch, 5, p] h3, float[6, 5] b, float[5, 5] c)
        {
          y = Conv<group = 2, strides = [2, 2], pads = [1, 1, 1, 1]>(x, kernel)
          up = ConvTranspose<strides = [2, 2]>(y, wide)
          h = Attention(q, k, v)
          h3 = Attention<q_num_heads = 8, kv_num_heads = 2>(q3, k3, v3)
          b = MatMul(a, m)
          c = Gemm<transA = 1>(b, b)
        }""",
        kernel=zeros(8, 2, 3, 3),
        wide=zeros(8, 2, 2, 2),
        m=zeros(8, 5),
    )
    batch, height, width = 3, 16, 12
    shapes = {
        "x": (batch, 4, height, width),
        "q": (batch, 8, 5, 6),
        "k": (batch, 2, 7, 6),
        "v": (batch, 2, 7, 3),
        "q3": (batch, 5, 48),
        "k3": (batch, 7, 12),
        "v3": (batch, 7, 10),
    }
    convolution = batch * 8 * (height // 2) * (width // 2) * 2 * 9
    up = batch * 8 * (height // 2) * (width // 2) * 2 * 4
    attention = batch * 8 * 5 * 7 * (6 + 3)
    attention_of_rows = batch * 8 * 5 * 7 * (6 + 5)
    product, square = 6 * 8 * 5, 5 * 6 * 5
    expected = [2 * count for count in (convolution, up, attention, attention_of_rows, product, square)]
    cost = cost_of(path, shapes)
    assert [work.flops for work in cost.works] == expected
    assert cost.flops == sum(expected)
    assert cost.works[4].bytes == 4 * (6 * 8 + 8 * 5 + 6 * 5)
    assert cost.weights == 4 * (8 * 2 * 9 + 8 * 2 * 4 + 40)


def test_activations_are_what_is_alive_at_once(tmp_path: Path) -> None:
    """The input is read until the end: at the worst node it, both halves of the product and its result are there."""
    path = write(
        tmp_path,
        """<ir_version: 10, opset_import: ["" : 21]>
        g (float16[n, 8] x) => (float16[n, 8] y)
        { a = MatMul(x, wide)
          b = Sigmoid(a)
          c = MatMul(b, narrow)
          y = Add(c, x) }""",
        wide=zeros(8, 16, kind=np.float16),
        narrow=zeros(16, 8, kind=np.float16),
    )
    cost = cost_of(path, {"x": (10, 8)})
    assert cost.activations == 2 * 10 * (8 + 16 + 16)
    assert cost.weights == 2 * 2 * 8 * 16
    assert cost.flops == 2 * 2 * 10 * 8 * 16


def test_shapes_that_are_computed_on_the_way(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """<ir_version: 10, opset_import: ["" : 21]>
        g (float[n, 4, h, w] x) => (float[n, p, c] y)
        { z = GroupNormalization<num_groups = 2>(x, scale, bias)
          n = Shape<start = 0, end = 1>(z)
          h = Shape<start = 2, end = 3>(z)
          w = Shape<start = 3, end = 4>(z)
          pixels = Mul(h, w)
          rows = Concat<axis = 0>(n, pixels, four)
          flat = Reshape(z, rows)
          y = MatMul(flat, m) }""",
        scale=zeros(4),
        bias=zeros(4),
        four=np.array([4]),
        m=zeros(4, 6),
    )
    assert cost_of(path, {"x": (2, 4, 3, 5)}).flops == 2 * (2 * 15) * 4 * 6
    with pytest.raises(ValueError, match="cannot be inferred"):
        cost_of(path, {})


def test_a_floor_is_the_slower_of_computing_and_reading() -> None:
    cost = Cost((Work(1000, 40), Work(10, 400)), weights=100, activations=0)
    assert cost.seconds(1000, 10) == pytest.approx(10)  # 100 bytes at 10 a second
    assert cost.seconds(10, 1000) == pytest.approx(101)
    assert cost.roofline(100, 10) == pytest.approx(10 + 40)


def test_published_rates_are_found_by_name() -> None:
    assert [published(name) is None for name in ("NVIDIA GeForce RTX 4090", "Tesla V100")] == [False, True]
    sxm, pcie = published("NVIDIA H100 80GB HBM3"), published("NVIDIA H100 PCIe")
    assert sxm is not None
    assert pcie is not None
    assert sxm.bandwidth > pcie.bandwidth
    for peak in filter(None, map(published, ("Orin", "NVIDIA A100-SXM4-80GB", "NVIDIA H200"))):
        assert peak.fp16 > peak.fp32 > 1e12
        assert peak.bandwidth > 1e11


def test_rates_can_be_measured() -> None:
    peak = measured("cpu", side=64, copied=2**16)
    assert min(peak.fp16, peak.fp32, peak.bandwidth) > 0
