"""A UNet of one level, two resnets without norms, and one channel: small enough to be written down."""

import onnx
import onnx.parser

_UNET = f"""<ir_version: 10, opset_import: ["": 20]>
unet (float[batch, 1, height, width] sample, int64[batch] timestep) => (float[batch, 1, height, width] out_sample)
<float[2, 1, 1, 1] enter = {{0.3, 0.7}}, float slope = {{0.001}}, int64[4] column = {{-1, 1, 1, 1}},
 float[2, 2, 1, 1] inner = {{0.2, -0.4, 0.6, 0.3}}, float[2, 4, 1, 1] join = {{{", ".join(["0.5", "-0.2"] * 4)}}},
 float[1, 2, 1, 1] leave = {{0.8, -0.3}}, float[1] bias = {{0.1}}> {{
    time = Cast <to = 1> (timestep)
    drift = Mul (time, slope)
    shift = Reshape (drift, column)
    entered = Conv (sample, enter)
    shifted = Add (entered, shift)
    second = Conv (shifted, inner)
    curved = Tanh (second)
    deepest = Conv (curved, inner)
    middle = Sigmoid (deepest)
    early = Concat <axis = 1> (middle, curved)
    joined = Conv (early, join)
    hidden = Add (joined, shift)
    late = Concat <axis = 1> (hidden, shifted)
    outer = Conv (late, join)
    warm = Tanh (outer)
    out_sample = Conv (warm, leave, bias)
}}"""


def tiny_unet(*, scalar_timestep: bool = False) -> onnx.ModelProto:
    """The graph: (sample, timestep) to out_sample, with the skip connections of two resnets."""
    return onnx.parser.parse_model(_UNET.replace("int64[batch]", "int64") if scalar_timestep else _UNET)
