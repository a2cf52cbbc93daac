"""ControlNets computed by hand: rows of other strengths, fixed batches, a UNet with further channels, pooled ones."""

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from numpy.typing import NDArray

from ddim_edge.arrays import Conditioning
from ddim_edge.bundle.control_config import ControlConfig
from ddim_edge.networks.controlnet import ControlNets
from ddim_edge.networks.denoiser import Denoiser
from ddim_edge.networks.row import EXTRA_CHANNELS, Row
from ddim_edge.runtime.sessions.pool import Sessions
from ddim_edge.runtime.sessions.session import Session

Array = NDArray[np.float32]

DOWN, MIDDLE = "down_block_additional_residuals.0", "mid_block_additional_residual"
PLACES = ("controlnet", "controlnet_1")


def write(path: Path, text: str) -> None:
    path.parent.mkdir()
    onnx.save_model(onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 18]> {text}'), path)


def denoiser(folder: Path, batch: int | str, channels: int) -> Denoiser:
    """The UNet returns x + down + 2·middle, x being its first two channels.

    ControlNet N returns N·mean(image)·x for the way down and the timestep for the middle.
    """
    rows = f"float[{batch}, 2, 4, 4]"
    write(
        folder / "unet" / "model.onnx",
        f"""unet (float[{batch}, {channels}, 4, 4] sample, int64[{batch}] timestep, {rows} down, {rows} {MIDDLE})
        => ({rows} out_sample) <int64[1] first = {{0}}, int64[1] end = {{2}}, int64[1] axis = {{1}}>
        {{ x = Slice(sample, first, end, axis)  twice = Add({MIDDLE}, {MIDDLE})
           both = Add(down, twice)  out_sample = Add(x, both) }}""",
    )
    for number, place in enumerate(PLACES, 1):
        write(
            folder / place / "model.onnx",
            f"""net ({rows} sample, int64[{batch}] timestep, float[{batch}, 3, 8, 8] controlnet_cond)
            => ({rows} down, {rows} {MIDDLE})
            <int64[3] sides = {{1, 2, 3}}, float gain = {{{number}.0}}, int64[4] column = {{-1, 1, 1, 1}}>
            {{ mean = ReduceMean(controlnet_cond, sides)  factor = Mul(mean, gain)  down = Mul(sample, factor)
               time = Cast<to = 1>(timestep)  tall = Reshape(time, column)  shape = Shape(sample)
               {MIDDLE} = Expand(tall, shape) }}""",
        )
    for place in ("unet", *PLACES):
        rename(folder / place / "model.onnx")
    controls = ControlNets(folder, [ControlConfig(place) for place in PLACES], Sessions("cpu"))
    session = Session(folder / "unet" / "model.onnx", "cpu")
    controls.check_fit(session)
    return Denoiser(session, controls)


def rename(path: Path) -> None:
    """Give ``down`` the name that exporters give it, which the text format cannot write."""
    model = onnx.load(path)
    graph = model.graph
    for value in (*graph.input, *graph.output):
        value.name = DOWN if value.name == "down" else value.name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [DOWN if name == "down" else name for name in names]
    onnx.save_model(model, path)


def condition(first: float, second: float, scales: tuple[float, float]) -> Conditioning:
    values = zip(PLACES, (first, second), scales, strict=True)
    return {
        f"{place}.{key}": array
        for place, value, scale in values
        for key, array in (
            ("image", np.full((1, 3, 8, 8), value, np.float32)),
            ("scale", np.array([scale], np.float32)),
        )
    }


def wanted(sample: Array, timestep: int, first: float, second: float, scales: tuple[float, float]) -> Array:
    down = scales[0] * first + scales[1] * 2 * second
    return sample * np.float32(1 + down) + np.float32(2 * sum(scales) * timestep)


@pytest.mark.parametrize("batch", ["batch", 2, 4])
@pytest.mark.parametrize("channels", [2, 5])
def test_rows_of_other_images_and_strengths(batch: int | str, channels: int, tmp_path: Path) -> None:
    network = denoiser(tmp_path, batch, channels)
    assert network.conditioning_names == ()
    random = np.random.default_rng(0)
    told = [(0.5, 0.25, (1.0, 1.0)), (0.1, 0.9, (0.3, 2.0)), (1.0, 0.0, (0.0, 0.5))]
    samples = [random.standard_normal((1, 2, 4, 4), dtype=np.float32) for _ in told]
    extra: Conditioning = {EXTRA_CHANNELS: np.ones((1, 3, 4, 4), np.float32)} if channels == 5 else {}
    rows = [
        Row(sample, 10 * index, {**condition(*each), **extra}, None, 1.0)
        for index, (sample, each) in enumerate(zip(samples, told, strict=True))
    ]
    found = network.predict(rows)
    for index, (sample, each) in enumerate(zip(samples, told, strict=True)):
        np.testing.assert_allclose(found[index : index + 1], wanted(sample, 10 * index, *each), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("scale", "stays"), [(1.0, True), (0.5, False)])
def test_what_a_single_one_returns_at_full_strength_stays_on_the_device(
    tmp_path: Path, scale: float, stays: bool
) -> None:
    denoiser(tmp_path, "batch", 2)
    controls = ControlNets(tmp_path, [ControlConfig("controlnet")], Sessions("cpu"))
    (config, _) = controls._nets[0]
    controls._nets = [(config, Session(tmp_path / "controlnet" / "model.onnx", "cpu", bound=True))]
    unet = Session(tmp_path / "unet" / "model.onnx", "cpu", bound=True)
    network, told = Denoiser(unet, controls), condition(0.5, 0.0, (scale, 0.0))
    random = np.random.default_rng(0)
    for step in range(6):
        sample = random.standard_normal((1, 2, 4, 4), dtype=np.float32)
        found = network.predict([Row(sample, 10 * step, told, None, 1.0)])
        np.testing.assert_allclose(found, wanted(sample, 10 * step, 0.5, 0.0, (scale, 0.0)), rtol=1e-5, atol=1e-5)
    assert unet.device_buffers is not None
    # The first call of each network goes without buffers, and so hands the second network arrays of the host.
    assert unet.device_buffers.uploads[DOWN] == (0 if stays else 5)
