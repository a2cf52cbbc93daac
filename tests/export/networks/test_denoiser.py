"""UNets of many kinds, exported, beside torch at shapes that the tracer never saw."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from ddim_edge_export import export_unet
from ddim_edge_export.networks.denoiser import unet_signature
from tests.export.conftest import MakeUnet

pytestmark = pytest.mark.slow

ONE_LEVEL: dict[str, Any] = {
    "block_out_channels": (8,),
    "down_block_types": ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",),
}

# Tracing takes seconds, in proportion to the number of layers: each network covers as much as it can.
CONFIGS: dict[str, dict[str, Any]] = {
    "attention": {
        "in_channels": 3,
        "out_channels": 6,
        "center_input_sample": True,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "num_class_embeds": 5,
        "sample_size": (8, 10),
    },
    "resnet sampling, scale and shift": {
        "down_block_types": ("ResnetDownsampleBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "ResnetUpsampleBlock2D"),
        "resnet_time_scale_shift": "scale_shift",
        "downsample_type": "resnet",
        "upsample_type": "resnet",
        "act_fn": "gelu",
        "add_attention": False,
    },
    "skip blocks, fourier time": {
        "block_out_channels": (32, 32),
        "down_block_types": ("SkipDownBlock2D", "AttnSkipDownBlock2D"),
        "up_block_types": ("AttnSkipUpBlock2D", "SkipUpBlock2D"),
        "in_channels": 3,
        "out_channels": 3,
        "time_embedding_type": "fourier",
        "attention_head_dim": None,
        "mid_block_type": None,
    },
    "labels embedded as timesteps, learned time": ONE_LEVEL
    | {
        "class_embed_type": "timestep",
        "time_embedding_type": "learned",
        "num_train_timesteps": 40,
        "mid_block_type": None,
    },
    "labels that are embeddings": ONE_LEVEL
    | {
        "class_embed_type": "identity",
        "freq_shift": 1,
        "flip_sin_to_cos": False,
        "time_embedding_dim": 12,
        "add_attention": False,
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_random_unet_agrees_with_torch_at_other_shapes(name: str, make_unet: MakeUnet, tmp_path: Path) -> None:
    unet = make_unet(**CONFIGS[name]).eval()
    report = export_unet(unet, unet.config, tmp_path / "bundle")
    assert report.network == "UNet2DModel"

    signature = unet_signature(unet.config)
    session = onnxruntime.InferenceSession(tmp_path / "bundle/unet/model.onnx", providers=["CPUExecutionProvider"])
    # diffusers' upsampling has a branch for batches of 64 and more, which must not end up in the graph.
    for seed, (batch, height, width) in enumerate([(1, 16, 8), (4, 8, 24), (65, 8, 8)], start=100):
        inputs = signature.draw(batch, {"height": height, "width": width}, seed)
        with torch.no_grad():
            expected = unet(**{key: torch.from_numpy(value) for key, value in inputs.items()}).sample.numpy()
        (got,) = session.run(["out_sample"], inputs)
        assert got.dtype == np.float32
        assert np.abs(got - expected).max() <= 1e-4 * expected.std()
