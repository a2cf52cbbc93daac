"""Networks that predict a variance, too: DDPM is sent it, no other sampler is, and guidance does not touch it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import ddim_edge
from ddim_edge.bundle.read import open_bundle
from ddim_edge.diffusion.noise import noise_stream
from ddim_edge.diffusion.samplers import samplers_for
from ddim_edge.generation.engine import Engine
from ddim_edge.generation.jobs import job_of
from ddim_edge.generation.memory.limit import MemoryLimit, usual_request
from ddim_edge.generation.requests.option_table import Options
from ddim_edge.generation.requests.options import request_of
from ddim_edge.networks.denoiser import Denoiser
from ddim_edge.runtime.providers.device import Device
from ddim_edge.runtime.sessions.session import Session
from tests.helpers.tiny_bundles import NULL_CLASS, Array, tiny_model, tiny_prediction, write_bundle

FIXED = {"_class_name": "DDPMScheduler", "clip_sample": False}
DDPM = {**FIXED, "variance_type": "learned_range"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("variance") / "tiny")


def written(folder: Path, **options: Any) -> Path:
    model = tiny_model(real_timestep=True, variance=True, **options)
    return write_bundle(folder, model, scheduler=DDPM, out_channels=2)


def samples_of(folder: Path, options: list[dict[str, Any]]) -> list[Array]:
    """The results of one image of each of ``options``, which share the network's calls."""
    bundle = open_bundle(folder)
    requests = [request_of(bundle, cast(Options, {"num_images": 1, "labels": ["cat"], **each})) for each in options]
    engine = Engine(Denoiser(Session(folder / "unet" / "model.onnx", "cpu")))
    jobs = [job_of(bundle, request, 0) for request in requests]
    for job in jobs:
        engine.add(job)
    while engine.jobs:
        engine.step()
    return [job.result() for job in jobs]


def by_hand(seed: int, scale: float) -> Array:
    """Four steps of DDPM: guidance of the prediction alone, and the variance of the row with the class."""
    config = ddim_edge.sampler_config(DDPM)
    draw = noise_stream(seed, "torch")
    sampler = ddim_edge.start(config, 4, draw((1, 1, 8, 8)), lambda: draw((1, 1, 8, 8)))
    query = next(sampler)
    while True:
        own, null = (tiny_prediction(query.sample, query.timestep, label) for label in (0, NULL_CLASS))
        guided = null + np.float32(scale) * (own - null)
        try:
            query = sampler.send(np.concatenate([guided, own - query.sample], axis=1))
        except StopIteration as end:
            result: Array = end.value
            return result


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_ddpm_is_sent_the_variance_of_the_conditional_row(folder: Path, scale: float) -> None:
    (found,) = samples_of(folder, [{"num_steps": 4, "seed": 3, "guidance_scale": scale}])
    np.testing.assert_allclose(found, by_hand(3, scale), rtol=1e-5, atol=1e-5)


def test_samplers_that_do_not_take_it_make_what_they_make_without_it(folder: Path, tmp_path: Path) -> None:
    plain = write_bundle(tmp_path / "plain", tiny_model(real_timestep=True), scheduler=FIXED)
    names = [name for name in samplers_for("betas") if name != "ddpm"]
    others = [{"sampler": name, "num_steps": 5, "guidance_scale": 2.0} for name in names]
    for found, wanted in zip(samples_of(folder, others), samples_of(plain, others), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_all_in_one_call_end_where_each_ends_alone(folder: Path, tmp_path: Path) -> None:
    options: list[dict[str, Any]] = [
        {"num_steps": 4, "seed": 1},
        {"sampler": "ddim", "num_steps": 6, "guidance_scale": 3.0},
        {"num_steps": 7, "guidance_scale": 2.0, "guidance_rescale": 0.5},
        {"sampler": "ddim", "guidance_mode": "cfg++", "num_steps": 4},
        {"sampler": "dpmpp-2m", "num_steps": 5},
    ]
    for bundle in (folder, written(tmp_path / "fixed", batch=3)):
        for found, each in zip(samples_of(bundle, options), options, strict=True):
            np.testing.assert_array_equal(found, samples_of(bundle, [each])[0])


def test_a_recipe_makes_the_picture_again(folder: Path) -> None:
    pipeline = ddim_edge.load(folder, "cpu")
    first = pipeline.generate(num_steps=4, labels=["dog"])
    assert first.recipe["sampler"]["variance"] == "learned_range"
    request = ddim_edge.Request.from_json(first.recipe)
    (again,) = [end.images for end in pipeline.run(request) if end.images is not None]
    np.testing.assert_array_equal(again, first.images)


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"out_channels": 2}, {"cache": "forecast"}, "cache forecast:3 does not work with a learned variance"),
    ({}, {}, "takes a learned variance, and the network of .* predicts none"),
]


@pytest.mark.parametrize(("bundle", "options", "message"), REFUSED, ids=["cache", "no variance"])
def test_what_cannot_be_is_named_before_a_network_is_opened(
    new_bundle: Callable[..., Path], bundle: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    folder = new_bundle(tiny_model(), scheduler=DDPM, **bundle)
    with pytest.raises(ddim_edge.ConfigError, match=message):
        request_of(open_bundle(folder), cast(Options, {"num_steps": 8, **options}))


@pytest.mark.parametrize("channels", [3, 1000])
def test_other_numbers_of_channels_are_no_denoiser(new_bundle: Callable[..., Path], channels: int) -> None:
    with pytest.raises(ddim_edge.BundleError, match=f"predicts {channels} channels for a sample of 1: a denoiser"):
        open_bundle(new_bundle(out_channels=channels))


def test_memory_counts_it(folder: Path, tiny_bundle: Path) -> None:
    rows = [
        MemoryLimit(bundle, Device("cpu"), "4GB")._needs(usual_request(bundle), may_tile=False).row
        for bundle in (open_bundle(folder), open_bundle(tiny_bundle))
    ]
    assert rows[0] - rows[1] == 2 * 4 * 8 * 8
