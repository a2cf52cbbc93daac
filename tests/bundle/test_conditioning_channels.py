"""What the channels behind the sample's are: from the key, from the pipeline's class, from their number."""

from typing import Any

import pytest

from ddim_edge.bundle.conditioning_channels import KEY, ConditioningChannels, conditioning_channels
from ddim_edge.bundle.unet_inputs import UnetInputs
from ddim_edge.bundle.vae_config import VaeConfig
from ddim_edge.errors import BundleError

VAE = VaeConfig(factor=8, channels=4, image_channels=3, scale=(0.5,), shift=(0.0,))


def derived(pipeline: str, taken: int, **index: Any) -> list[tuple[str, int, bool]]:
    found = conditioning_channels({"in_channels": taken}, {"_class_name": pipeline, **index}, VAE)
    return [(part.source, part.channels, part.scaled) for part in found]


def test_the_class_of_the_pipeline_says_what_they_are() -> None:
    assert derived("StableDiffusionPipeline", 4) == []
    assert derived("StableDiffusionInstructPix2PixPipeline", 8) == [("latents", 4, False)]
    assert derived("StableDiffusionXLInstructPix2PixPipeline", 8, is_cosxl_edit=True) == [("latents", 4, True)]
    assert derived("StableDiffusionUpscalePipeline", 7) == [("pixels", 3, True)]
    assert derived("StableDiffusionDepth2ImgPipeline", 5) == [("depth", 1, True)]


@pytest.mark.parametrize("pipeline", ["StableDiffusionInpaintPipeline", "StableDiffusionXLInpaintPipeline", "Mine"])
def test_twice_the_latents_and_one_are_inpainting(pipeline: str) -> None:
    assert derived(pipeline, 9) == [("mask", 1, True), ("masked_latents", 4, True)]


def test_the_key_wins_and_is_read_as_it_was_written() -> None:
    parts = (ConditioningChannels("depth map", 1, "depth"), ConditioningChannels("photo", 4, "latents", guided=True))
    config = {"in_channels": 9, KEY: [part.to_json() for part in parts]}
    assert conditioning_channels(config, {"_class_name": "StableDiffusionInpaintPipeline"}, VAE) == parts


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"in_channels": 8}, "takes 8 channels, and the autoencoder's latents have 4: it must take as many, 9 for"),
        ({"in_channels": 4, KEY: [{"source": "mask", "channels": 1}]}, "takes 4 channels"),
        ({"in_channels": 5, KEY: [{"source": "sound", "channels": 1}]}, "a source of latents, masked_latents, mask,"),
        ({"in_channels": 5, KEY: [{"source": "mask"}]}, "must be a list of objects with channels"),
    ],
)
def test_what_makes_no_sense_is_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        conditioning_channels(config, {}, VAE)


def test_channels_before_the_samples_need_our_export() -> None:
    index = {"_class_name": "MarigoldDepthPipeline"}
    with pytest.raises(BundleError, match="takes the picture's channels before the sample's: export it with"):
        UnetInputs.read({"in_channels": 8}, index, VAE)
