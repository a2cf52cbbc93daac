"""Refuses pipelines that do more than a bundle does: their networks alone would give other images."""

import warnings
from collections.abc import Mapping
from typing import Any

from ddim_edge.bundle.layout import T5_TOKENS
from ddim_edge.errors import ConfigError, shown

_TASKS = ("", "Img2Img", "Inpaint")
_PLAIN = frozenset(
    ["DDIMPipeline", "DDPMPipeline", "PNDMPipeline", "LDMPipeline", "DiffusionPipeline", "DiTPipeline"]
    + ["StableDiffusion3Pipeline", "PixArtAlphaPipeline", "PixArtSigmaPipeline"]
    + [f"LatentConsistencyModel{task}Pipeline" for task in _TASKS]
    + [f"StableDiffusion{kind}{task}Pipeline" for kind in ("", "XL", "ControlNet", "XLControlNet") for task in _TASKS]
    + [f"StableDiffusion{kind}InstructPix2PixPipeline" for kind in ("", "XL")]
    + ["StableDiffusionUpscalePipeline", "LDMSuperResolutionPipeline", "StableDiffusionDepth2ImgPipeline"]
    + ["MarigoldDepthPipeline", "MarigoldNormalsPipeline"]
)
"""The pipelines of diffusers that the runtime has the equal of."""


_USUAL: Mapping[str, Mapping[str, float]] = {
    "DiTPipeline": {"guidance_scale": 4.0},
    "StableDiffusion3Pipeline": {"guidance_scale": 7.0, "num_steps": 28},
    "PixArtAlphaPipeline": {"guidance_scale": 4.5},
    "PixArtSigmaPipeline": {"guidance_scale": 4.5},
}


def usual_options(name: Any) -> Mapping[str, float]:
    """The options that a pipeline of diffusers has by default, where they are not those of the runtime."""
    return _USUAL.get(name, {}) if isinstance(name, str) else {}


def t5_tokens(name: Any) -> int:
    """How many tokens of T5 a pipeline of diffusers reads by default."""
    return {"PixArtAlphaPipeline": 120, "PixArtSigmaPipeline": 300}.get(str(name), T5_TOKENS)


class PipelineWarning(UserWarning):
    """A pipeline of a class that diffusers does not have: what it does beside its networks is unknown."""


def check_pipeline_class(name: Any) -> None:
    """Check the ``_class_name`` of a model_index.json.

    ConfigError for a class of diffusers that does more than Stable Diffusion, such as GLIGEN or perturbed-attention
    guidance; a PipelineWarning for one that diffusers does not have.
    """
    # A class of the repository's own code is named as a list: its file and its name.
    name = name[-1] if isinstance(name, list) and name else name
    if isinstance(name, str) and name in _PLAIN:
        return
    if isinstance(name, str) and name in _classes_of_diffusers():
        raise ConfigError(
            f"{shown(name)} does more than a bundle does, which is what StableDiffusionPipeline, its XL, ControlNet, "
            "img2img and inpainting versions, DDIMPipeline and the others in docs/models.md do: to export its networks "
            "without the rest, change _class_name in model_index.json to one of these"
        )
    warnings.warn(
        f"diffusers has no pipeline {shown(name)}: what it does beside its networks and its scheduler is not exported",
        PipelineWarning,
        stacklevel=2,
    )


def _classes_of_diffusers() -> set[str]:
    """The names are known without importing the classes."""
    import diffusers

    return set(dir(diffusers))
