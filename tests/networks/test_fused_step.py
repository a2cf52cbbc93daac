"""The fused step against the separate one: the same samples, whoever shares the call, and nothing sent needlessly."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import ddim_edge
from ddim_edge.bundle.bundle import Bundle
from ddim_edge.bundle.read import open_bundle
from ddim_edge.generation.engine import Engine, Job
from ddim_edge.generation.jobs import job_of
from ddim_edge.generation.requests.option_table import Options
from ddim_edge.generation.requests.options import request_of
from ddim_edge.networks.denoiser import Denoiser
from ddim_edge.runtime.sessions.session import Session
from ddim_edge_export.fuse import fuse_step
from tests.helpers.tiny_bundles import tiny_model, write_bundle

Array = NDArray[Any]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = write_bundle(tmp_path_factory.mktemp("fused") / "tiny")
    fuse_step(folder / "unet")
    return open_bundle(folder)


def separate(bundle: Bundle) -> Session:
    return Session(bundle.folder / "unet" / "model.onnx", "cpu")


def fused(bundle: Bundle, *, bound: bool) -> Session:
    return Session(bundle.folder / "unet" / "unet_step.onnx", "cpu", bound=bound)


def jobs_of(bundle: Bundle, options: list[dict[str, Any]]) -> list[Job]:
    usual = ({"num_images": 1, "seed": seed, **each} for seed, each in enumerate(options))
    return [job_of(bundle, request_of(bundle, cast(Options, each)), 0) for each in usual]


def run(session: Session, jobs: list[Job], joins: list[int]) -> list[Array]:
    """Run the jobs to their ends, each joining after so many steps."""
    engine, waiting, step = Engine(Denoiser(session)), sorted(zip(joins, range(len(jobs)), strict=False)), 0
    while engine.jobs or waiting:
        while waiting and (waiting[0][0] <= step or not engine.jobs):
            engine.add(jobs[waiting.pop(0)[1]])
        engine.step()
        step += 1
    return [job.result() for job in jobs]


GUIDANCE = [
    {},
    {"guidance_scale": 2.0},
    {"guidance_scale": 3.5},
    {"guidance_scale": 2.0, "guidance_rescale": 0.5},
    {"guidance_scale": 2.0, "guidance_interval": (0.1, 5.0)},
]
OPTIONS = st.builds(
    lambda guidance, **options: {**options, **guidance},
    st.sampled_from(GUIDANCE),
    sampler=st.sampled_from(["ddim", "ddim", "ddim", "dpmpp-2m", "ddpm"]),
    num_steps=st.integers(1, 7),
    labels=st.sampled_from([["cat"], ["dog"]]),
)


@pytest.fixture(scope="module")
def sessions(bundle: Bundle) -> list[Session]:
    return [separate(bundle), fused(bundle, bound=False), fused(bundle, bound=True)]


@settings(deadline=None)
@given(options=st.lists(OPTIONS, min_size=1, max_size=5), joins=st.lists(st.integers(0, 6), min_size=5, max_size=5))
def test_any_mix_of_jobs_ends_as_with_separate_steps(
    bundle: Bundle, sessions: list[Session], options: list[dict[str, Any]], joins: list[int]
) -> None:
    wanted, *others = [run(session, jobs_of(bundle, options), joins) for session in sessions]
    for found in others:
        for got, want in zip(found, wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_a_job_that_is_sent_both_predictions_shares_the_graph(bundle: Bundle, sessions: list[Session]) -> None:
    usual = {"sampler": "ddim", "num_steps": 5, "labels": ["cat"]}
    options: list[dict[str, Any]] = [usual, {**usual, "guidance_mode": "cfg++"}, {**usual, "guidance_scale": 2.0}]
    wanted, *others = [run(session, jobs_of(bundle, options), [0, 1, 0]) for session in sessions]
    for found in others:
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("guidance_scale", [1.0, 2.0])
def test_a_sample_is_sent_once_and_stays(bundle: Bundle, eta: float, guidance_scale: float) -> None:
    options = {"sampler": "ddim", "num_steps": 12, "eta": eta, "guidance_scale": guidance_scale, "labels": ["cat"]}
    session = fused(bundle, bound=True)
    found = run(session, jobs_of(bundle, [options] * 3), [0, 0, 0])
    np.testing.assert_allclose(found, run(separate(bundle), jobs_of(bundle, [options] * 3), [0, 0, 0]), atol=1e-5)
    assert session.device_buffers is not None
    sent = session.device_buffers.uploads
    assert (sent["sample"], sent["class_labels"]) == (1, 1)
    assert sent["noise"] == (11 if eta else 1)


def test_padding_of_a_session_with_static_shapes_changes_nothing(bundle: Bundle) -> None:
    options = {"sampler": "ddim", "num_steps": 6, "guidance_scale": 2.0, "labels": ["dog"]}
    session = fused(bundle, bound=True)
    session.static_shapes = True
    found = run(session, jobs_of(bundle, [options] * 3), [0, 0, 0])
    np.testing.assert_allclose(found, run(separate(bundle), jobs_of(bundle, [options] * 3), [0, 0, 0]), atol=1e-5)
    assert session.device_buffers is not None
    assert session.device_buffers.uploads["sample"] == 1


def test_the_pipeline_takes_the_form_that_the_bundle_has(bundle: Bundle, tmp_path: Path) -> None:
    plain = ddim_edge.load(write_bundle(tmp_path / "plain"), "cpu")
    stepping = ddim_edge.load(bundle.folder, "cpu")
    assert "step_coefficients" in stepping.denoiser.session.inputs
    for sampler in ("ddim", "dpmpp-2m"):
        options: Options = {"sampler": sampler, "num_steps": 5, "guidance_scale": 2.0, "seed": 3}
        np.testing.assert_array_equal(stepping.generate(**options).images, plain.generate(**options).images)


def test_an_image_that_is_repaired_keeps_what_it_must(bundle: Bundle) -> None:
    image = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    mask = np.zeros((1, 1, 8, 8), bool)
    mask[..., 4:] = True
    origin = ddim_edge.Origin(image=image, mask=mask)
    result = ddim_edge.load(bundle.folder, "cpu").generate(sampler="ddim", num_steps=5, labels=["cat"], origin=origin)
    wanted = np.rint((image[0, 0, :, :4] + 1) * 127.5)
    np.testing.assert_allclose(result.images[0, :, :4, 0], wanted, atol=1)


@pytest.mark.parametrize("bound", [False, True])
def test_nan_is_found_at_the_end_of_the_one_image_that_has_it(tmp_path: Path, bound: bool) -> None:
    folder = write_bundle(tmp_path / "poisoned", tiny_model(nan_at=(0, 0)))
    fuse_step(folder / "unet")
    bundle = open_bundle(folder)
    jobs = jobs_of(bundle, [{"sampler": "ddim", "num_steps": 4, "labels": [label]} for label in ("cat", "dog")])
    with pytest.raises(ddim_edge.PredictionError, match="unet returned NaN or infinity at one of 4 network calls"):
        run(fused(bundle, bound=bound), jobs, [0, 0])
    assert np.isfinite(jobs[1].result()).all()
