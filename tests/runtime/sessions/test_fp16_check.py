"""fp16 that overflows is never an image: it is named, or computed again in fp32."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest

import ddim_edge
from ddim_edge.generation.pipeline import SlowWarning
from ddim_edge.runtime.sessions.fp16_check import PrecisionWarning, fp16_fault_of
from ddim_edge.runtime.sessions.pool import Sessions
from ddim_edge.runtime.sessions.session import Session
from ddim_edge_export.fuse import fuse_step
from tests.helpers.tiny_bundles import tiny_model, write_bundle

Array = np.ndarray[Any, Any]


def growing_model(gain: float, *, half: bool) -> onnx.ModelProto:
    """``gain·sample``: a gain of 30,000 is too much for fp16. A CPU computes in fp32, hence the Cast."""
    kind, code = ("float16", 10) if half else ("float", 1)
    return onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 18]>
        unet ({kind}[batch, 1, 8, 8] sample, int64[batch] timestep) => ({kind}[batch, 1, 8, 8] out_sample)
        <float gain = {{{gain}}}>
        {{ x = Cast<to = 1>(sample)
           grown = Mul(x, gain)
           out_sample = Cast<to = {code}>(grown) }}"""
    )


def write_half(folder: Path, gain: float = 3e4, *, spare: bool = False, fused: bool = False) -> Path:
    write_bundle(folder, growing_model(gain, half=True), labels=None)
    if fused:
        fuse_step(folder / "unet")
    if spare:
        onnx.save(growing_model(gain, half=False), folder / "unet" / "model.fp32.onnx")
    return folder


def loaded(folder: Path) -> ddim_edge.Pipeline:
    with pytest.warns(SlowWarning):
        return ddim_edge.load(folder, "cpu")


def test_the_component_and_the_option_that_mends_it_are_named(tmp_path: Path) -> None:
    pipeline = loaded(write_half(tmp_path / "bundle"))
    with pytest.raises(ddim_edge.PredictionError, match=r"unet returned NaN or infinity in fp16: .*--keep-fp32 unet"):
        pipeline.generate(num_steps=3)


@pytest.mark.parametrize("fused", [False, True])
def test_the_fp32_form_takes_over_and_makes_the_image_that_fp32_makes(tmp_path: Path, fused: bool) -> None:
    whole = write_bundle(tmp_path / "whole", growing_model(3e4, half=False), labels=None)
    wanted = ddim_edge.load(whole, "cpu").generate(num_steps=5, sampler="ddim", seed=1)
    pipeline = loaded(write_half(tmp_path / "half", spare=True, fused=fused))
    with pytest.warns(PrecisionWarning, match="unet returned NaN or infinity in fp16, and runs in fp32 from now on"):
        first = pipeline.generate(num_steps=5, sampler="ddim", seed=1)
    again = pipeline.generate(num_steps=5, sampler="ddim", seed=1)  # and does not warn again: warnings are errors
    for found in (first, again):
        np.testing.assert_array_equal(found.images, wanted.images)


def test_fp16_that_holds_is_used_and_steps_on_its_own_after_its_first_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = loaded(write_half(tmp_path / "half", gain=2, spare=True, fused=True))
    stepped: list[int] = []
    stepper = pipeline.denoiser._fused_step
    advance = stepper.advance

    def watched(rows: Any, *rest: Any) -> Any:
        stepped.append(len(rows))
        return advance(rows, *rest)

    monkeypatch.setattr(stepper, "advance", watched)
    pipeline.generate(num_steps=4, sampler="ddim")
    assert stepped == []
    pipeline.generate(num_steps=4, sampler="ddim")
    assert stepped == [1] * 4
    assert pipeline.denoiser.session.inputs["sample"].dtype == np.float32  # the sampler's own state is never fp16


def test_one_image_s_nan_after_a_good_one_is_that_image_s_alone(tmp_path: Path) -> None:
    pipeline = loaded(write_bundle(tmp_path / "half", tiny_model(half=True, nan_at=(0, 0))))
    pipeline.generate(num_steps=3, labels=["dog"])
    with pytest.raises(ddim_edge.PredictionError, match="unet returned NaN or infinity at network call 3, timestep 0"):
        pipeline.generate(num_steps=3, labels=["cat"])


def test_a_network_called_once_an_image_is_checked_at_every_call(tmp_path: Path) -> None:
    folder = write_half(tmp_path / "half", spare=True)
    session = Sessions("cpu").open(folder / "unet" / "model.onnx", folder)
    assert isinstance(session, Session)
    timestep, small = np.array([0]), np.linspace(0.1, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    np.testing.assert_allclose(
        session.run({"sample": small, "timestep": timestep})["out_sample"], 3e4 * small, rtol=1e-3
    )
    with pytest.warns(PrecisionWarning):
        found = session.run({"sample": 9 * small, "timestep": timestep})["out_sample"]
    np.testing.assert_allclose(found, 27e4 * small, rtol=1e-6)


def test_what_stays_on_the_device_comes_from_the_fp32_form_as_well(tmp_path: Path) -> None:
    folder = write_half(tmp_path / "half", spare=True)
    session = Session(folder / "unet" / "model.onnx", "cpu", bound=True)
    asked = {"sample": np.full((1, 1, 8, 8), 9, np.float32), "timestep": np.array([0])}
    with pytest.warns(PrecisionWarning):
        session.run(asked)
    for _ in range(3):
        found = session.run_on_device(asked, ["out_sample"])["out_sample"]
    np.testing.assert_allclose(np.asarray(found), 27e4, rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "first", "fault"),
    [
        ([1.0, 2.0], True, None),
        ([1.0, np.nan], False, "NaN or infinity"),
        ([np.inf, 2.0], True, "NaN or infinity"),
        ([0.0, 0.0], True, "one value everywhere"),
        ([0.0, 0.0], False, None),
        ([0.0], True, None),
    ],
)
def test_what_counts_as_a_fault(values: list[float], first: bool, fault: str | None) -> None:
    assert (
        fp16_fault_of({"sample": np.array(values, np.float16), "flags": np.array([True, True])}, first=first) == fault
    )
