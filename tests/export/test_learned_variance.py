"""Networks that predict a variance, from PyTorch to pictures: exported, verified, and run as diffusers runs them."""

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from ddim_edge.bundle.read import open_bundle
from ddim_edge.networks.denoiser import Denoiser
from ddim_edge.networks.row import Row
from ddim_edge.runtime.sessions.session import Session
from ddim_edge_export import export_folder
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import write_json
from tests.helpers.tiny_networks import unet

from .conftest import MakeUnet

pytestmark = pytest.mark.slow

Diffusers: Any = diffusers
SEED, STEPS = 3, 4
ONE_LEVEL: dict[str, Any] = {
    "block_out_channels": (8,),
    "down_block_types": ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",),
}


@pytest.fixture(scope="module")
def pipeline(make_unet: MakeUnet) -> Any:
    network = make_unet(in_channels=3, out_channels=6, **ONE_LEVEL)
    scheduler = Diffusers.DDPMScheduler(variance_type="learned_range", clip_sample=False)
    return Diffusers.DDPMPipeline(unet=network, scheduler=scheduler)


@pytest.fixture(scope="module")
def source(pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bundle(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "learned"
    export_folder(source, folder)
    return folder


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)


def pixels(invoke: Invoke, bundle: Path, *options: str) -> Any:
    assert invoke("run", bundle, "-n", 1, "-s", STEPS, "--seed", SEED, "-o", "out.png", *options).code == 0
    return np.asarray(Image.open("out.png"), np.int16)


def test_the_command_line_makes_what_diffusers_makes(invoke: Invoke, bundle: Path, pipeline: Any) -> None:
    wanted = pipeline(num_inference_steps=STEPS, generator=generator(), output_type="np").images[0]
    assert abs(pixels(invoke, bundle) - np.round(wanted * 255)).max() <= 1
    fixed = pixels(invoke, bundle, "-c", "variance=fixed", "--force")
    assert abs(fixed - np.round(wanted * 255)).max() > 1


def test_ddim_leaves_it_out_as_diffusers_pipelines_do(invoke: Invoke, bundle: Path, pipeline: Any) -> None:
    scheduler = Diffusers.DDIMScheduler.from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(STEPS)
    sample = torch.randn((1, 3, 8, 8), generator=generator())
    for timestep in scheduler.timesteps:
        with torch.no_grad():
            prediction, _ = pipeline.unet(sample, timestep).sample.split(3, dim=1)
        sample = scheduler.step(prediction, timestep, sample).prev_sample
    wanted = (sample[0] / 2 + 0.5).clamp(0, 1).mul(255).round().permute(1, 2, 0).numpy()
    assert abs(pixels(invoke, bundle, "--sampler", "ddim") - wanted).max() <= 1


def test_a_conditional_unet(tmp_path: Path) -> None:
    network = unet(**ONE_LEVEL, attention_head_dim=2, out_channels=8).eval()
    network.save_pretrained(tmp_path / "source" / "unet")
    write_json(
        tmp_path / "source" / "model_index.json",
        {
            "_class_name": "StableDiffusionPipeline",
            "unet": ["diffusers", "UNet2DConditionModel"],
            "text_encoder": ["transformers", "CLIPTextModel"],
        },
    )
    Diffusers.DDPMScheduler(variance_type="learned_range").save_pretrained(tmp_path / "source" / "scheduler")
    export_folder(tmp_path / "source", tmp_path / "out", components=["unet"])
    assert open_bundle(tmp_path / "out").inputs.predicts_variance

    draw = torch.Generator().manual_seed(0)
    sample, own, null = (torch.randn(shape, generator=draw) for shape in ((1, 4, 16, 16), (1, 77, 16), (1, 77, 16)))
    with torch.no_grad():
        (c, variance), (u, _) = (network(sample, 500, text).sample.split(4, dim=1) for text in (own, null))
    given, nothing = ({"encoder_hidden_states": text.numpy()} for text in (own, null))
    denoiser = Denoiser(Session(tmp_path / "out" / "unet" / "model.onnx", "cpu"))
    row = Row(sample.numpy(), 500, given, nothing, 3.0)
    kept = denoiser.predict([row._replace(keeps_variance=True)])
    dropped = denoiser.predict([row])
    guided = u + 3 * (c - u)
    np.testing.assert_allclose(kept, torch.cat([guided, variance], dim=1), atol=1e-4)
    np.testing.assert_allclose(dropped, guided, atol=1e-4)
