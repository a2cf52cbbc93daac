"""Pipelines that measure or enlarge a picture: what of them is not in their networks' configs."""

from collections.abc import Mapping
from typing import Any

_MEASURES = ("MarigoldDepthPipeline", "MarigoldNormalsPipeline")


def has_baked_prompt(index: Mapping[str, Any]) -> bool:
    """Whether the pipeline takes no prompt, and gives its UNet the empty one."""
    return index.get("_class_name") in _MEASURES


def output_of(index: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of output.json; empty for pipelines that make pictures."""
    match index.get("_class_name"):
        case "MarigoldDepthPipeline":
            return {"kind": "image", "quantity": "depth"}
        case "MarigoldNormalsPipeline":
            return {"kind": "image", "quantity": "normals" if index.get("use_full_z_range", True) else "front_normals"}
    return {}


def own_defaults(index: Mapping[str, Any]) -> dict[str, Any]:
    """Options that the pipeline itself recommends, as generation_config.json has them."""
    steps = index.get("default_denoising_steps")
    return {} if steps is None else {"num_steps": steps}


def latent_scale(index: Mapping[str, Any]) -> dict[str, Any]:
    """Keys for the autoencoder's config: LDMSuperResolutionPipeline decodes latents as they are."""
    return {"scaling_factor": 1.0} if index.get("_class_name") == "LDMSuperResolutionPipeline" else {}
