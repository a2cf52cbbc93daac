"""A latent model whose decoder fails: with NaN, or with an error of ONNX Runtime, by the sine of the latents' sum."""

from pathlib import Path

import onnx
import onnx.parser

from tests.helpers.tiny_bundles import tiny_model, write_bundle, write_json

BROKEN_MODEL = "broken"
_CHANNELS, _SIZE = 4, 8


def write_broken_model(folder: Path) -> Path:
    """Write the bundle; returns ``folder``."""
    model = tiny_model(channels=_CHANNELS, size=_SIZE, classes=False)
    write_bundle(folder, model, labels=None, sample_size=_SIZE, channels=_CHANNELS)
    (folder / "vae_decoder").mkdir()
    onnx.save_model(_decoder(), folder / "vae_decoder" / "model.onnx")
    config = {"block_out_channels": [4], "latent_channels": _CHANNELS, "out_channels": 3, "scaling_factor": 1.0}
    write_json(folder / "vae_decoder" / "config.json", config)
    return folder


def _decoder() -> onnx.ModelProto:
    """Looks up a table of one NaN, at position 0 or, where the sine is positive, at 1, which is an error."""
    return onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 18]>
        decoder (float[batch, 4, height, width] latent_sample) => (float[batch, 3, height, width] sample)
        <float[1] one = {1.0}, int64[1] zero = {0}, int64[1] three = {3}, int64[1] channels = {1}> {
            below = Sub(one, one)
            table = Div(below, below)
            sum = ReduceSum<keepdims=0>(latent_sample)
            sine = Sin(sum)
            sign = Sign(sine)
            positive = Relu(sign)
            index = Cast<to=7>(positive)
            value = Gather(table, index)
            pixels = Slice(latent_sample, zero, three, channels)
            sample = Mul(pixels, value)
        }"""
    )
