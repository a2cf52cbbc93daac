"""What other libraries and programs call the generation options, and the answer to a name that is unknown here."""

import difflib
from collections.abc import Collection, Mapping

from ...errors import LONGEST_SHOWN

OTHER_NAMES: Mapping[str, str] = {
    "num_inference_steps": "num_steps",
    "steps": "num_steps",
    "scheduler": "sampler",
    "sampler_name": "sampler",
    "num_images_per_prompt": "num_images",
    "n": "num_images",
    "cfg_scale": "guidance_scale",
    "guidance": "guidance_scale",
    "generator": "seed",
    "class_labels": "labels",
    "negative_prompts": "negative_prompt",
    "prompts": "prompt",
    "image": "origin",
    "init_image": "origin",
    "mask": "origin",
    "mask_image": "origin",
    "latents": "origin",
    "denoising_strength": "strength",
    "control_image": "control_images",
    "depth_map": "images",
    "ip_adapter_image": "ip_adapter_images",
    "controlnet_conditioning_scale": "control_scale",
}
"""The option for each name of diffusers, of OpenAI's API, and of widespread programs, if it has another one here."""


def right_name(name: str, valid: Collection[str], others: Mapping[str, str] = OTHER_NAMES) -> str | None:
    """The valid name for an unknown one: what it is called here, else the nearest; None where there is none."""
    here = others.get(name)
    if here in valid:
        return here
    nearest = difflib.get_close_matches(name[:LONGEST_SHOWN], valid, n=1, cutoff=0.6)
    return nearest[0] if nearest else None
