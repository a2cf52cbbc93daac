"""Text encoders small enough to be computed by hand: token n's embedding is n/1000 times (1, 2, 3)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnx.parser

from ddim_edge.runtime.sessions.pool import Sessions
from ddim_edge.runtime.sessions.tensors import TensorInfo
from ddim_edge.text import TextEncoder

WIDTH = 3
_OUTPUTS = {
    "text_embeds": "ReduceMax<keepdims = 0>(embedded, token_axis)",
    "last_hidden_state": "Neg(embedded)",
    "hidden_states.0": "Identity(embedded)",
    # In this order, for a name's number to be what counts.
    "hidden_states.10": "Mul(embedded, tens)",
    "hidden_states.9": "Mul(embedded, nines)",
}
SD, SDXL = ("last_hidden_state",), tuple(_OUTPUTS)


def tiny_encoder(
    outputs: tuple[str, ...] = SD,
    *,
    integer: str = "int64",
    tokens: int | str = "sequence",
    batch: int | str = "batch",
    half: bool = False,
    more_inputs: str = "",
    poison: int = -1,
) -> onnx.ModelProto:
    """The graph. Where a text holds the token ``poison``, what comes out is NaN."""
    element = "float16" if half else "float"
    shapes = dict.fromkeys(outputs, f"[{batch}, {tokens}, {WIDTH}]") | {"text_embeds": f"[{batch}, {WIDTH}]"}
    declared = ", ".join(f'{element}{shapes[name]} "{name}"' for name in outputs)
    lines = [
        "numbers = Cast<to = 1>(input_ids)",
        f"bad = Constant<value_float = {poison}.0>()",
        "is_bad = Equal(numbers, bad)",
        "zero = Constant<value_float = 0.0>()",
        "nothing = Div(zero, zero)",
        "clean = Where(is_bad, nothing, numbers)",
        "column = Unsqueeze(clean, last_axis)",
        "embedded = Mul(column, table)",
        *(_line(name, half) for name in outputs),
    ]
    return onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 18]>
        text_encoder ({integer}[{batch}, {tokens}] input_ids{more_inputs}) => ({declared})
        <int64[1] last_axis = {{-1}}, int64[1] token_axis = {{1}}, float[{WIDTH}] table = {{0.001, 0.002, 0.003}},
         float nines = {{9.0}}, float tens = {{10.0}}>
        {{ {chr(10).join(lines)} }}"""
    )


def _line(name: str, half: bool) -> str:
    whole = name.replace(".", "_") + "_in_float"
    return f'{whole} = {_OUTPUTS[name]}\n"{name}" = Cast<to = {10 if half else 1}>({whole})'


def unet_inputs(**widths: int | str) -> dict[str, TensorInfo]:
    """Inputs of a UNet by their last axis, ``sample`` and ``timestep`` among them."""
    shapes: dict[str, tuple[int | str, ...]] = {name: ("batch", "any", width) for name, width in widths.items()}
    shapes |= {"sample": ("batch", 4, "height", "width"), "timestep": ("batch",)}
    return {name: TensorInfo(name, np.dtype(np.float32), shape) for name, shape in shapes.items()}


SD_UNET = unet_inputs(encoder_hidden_states=WIDTH)
SDXL_UNET = unet_inputs(encoder_hidden_states=2 * WIDTH, text_embeds=WIDTH, time_ids=6)


def open_encoder(folder: Path, wanted: Mapping[str, TensorInfo] = SD_UNET) -> TextEncoder:
    return TextEncoder.open(folder, wanted, Sessions("cpu"))
