"""UNet inputs: those of a UNet or transformer beside sample and timestep, read from config.json, and its sizes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ..config import whole_number
from ..errors import BundleError, ConfigError, shown
from .conditioning_channels import KEY, ConditioningChannels, are_in_front, conditioning_channels
from .json_files import MAX_SIDE
from .layout import CLASS_INPUT, GUIDANCE_INPUT, POOLED_TEXT, SIZE_INPUTS, TEXT_MASK
from .vae_config import VaeConfig

_TEXT_WIDTHS = ("cross_attention_dim", "joint_attention_dim")
"""Keys that a network of text has."""


@dataclass(frozen=True)
class UnetInputs:
    """Which inputs a UNet or transformer takes beside sample and timestep.

    Attributes:
        text: whether it takes text embeddings.
        pooled: whether it also takes the pooled text embedding and micro-conditioning, as SDXL does.
        pooled_projections: whether it also takes the pooled text of all CLIP encoders, as Stable Diffusion 3 does.
        text_mask: whether it is also told which tokens are padding, as PixArt is, whose text is of T5 alone.
        sizes: whether it also takes the image's size and its aspect ratio, as PixArt-α of 1024 pixels does.
        guidance_width: the width of an embedded guidance scale; None without one.
        channels: what it takes behind the sample's channels; empty for most.
        predicts_variance: whether it returns twice the sample's channels, the second half for DDPM's learned variance.
        multiple: height and width of a sample must be multiples of it: each level but the first halves them, and a
            graph that was not traced for other sizes cannot join them again; a transformer takes patches.
        largest_side: the most height or width of a sample, where a transformer has no more positions; None without one.
    """

    text: bool = False
    pooled: bool = False
    pooled_projections: bool = False
    text_mask: bool = False
    sizes: bool = False
    guidance_width: int | None = None
    channels: tuple[ConditioningChannels, ...] = ()
    predicts_variance: bool = False
    multiple: int = 1
    largest_side: int | None = None

    @classmethod
    def read(cls, config: Mapping[str, Any], index: Mapping[str, Any], vae: VaeConfig | None) -> Self:
        """Read diffusers' keys, ``index`` those of model_index.json.

        BundleError for channels that do not fit the autoencoder's or the prediction's.
        """
        channels = config.get("in_channels")
        if are_in_front(index) and not config.get(KEY):
            raise BundleError(
                "the unet takes the picture's channels before the sample's: export it with `ddim-edge export`, which "
                "puts them behind"
            )
        return cls(
            text=any(config.get(key) is not None for key in _TEXT_WIDTHS) and not config.get("baked_prompt"),
            pooled=config.get("addition_embed_type") == "text_time",
            text_mask=config.get("caption_channels") is not None,
            sizes=bool(config.get("use_additional_conditions")),
            pooled_projections=config.get("pooled_projection_dim") is not None,
            guidance_width=config.get("time_cond_proj_dim"),
            channels=conditioning_channels(config, index, vae),
            predicts_variance=_predicts_variance(config.get("out_channels"), channels if vae is None else vae.channels),
            multiple=_multiple(config),
            largest_side=_largest_side(config),
        )

    @property
    def names(self) -> set[str]:
        """The names of these inputs in the graph."""
        wanted = {
            "encoder_hidden_states": self.text,
            **dict.fromkeys(("text_embeds", "time_ids"), self.pooled),
            POOLED_TEXT: self.pooled_projections,
            TEXT_MASK: self.text_mask,
            **dict.fromkeys(SIZE_INPUTS, self.sizes),
            GUIDANCE_INPUT: self.guidance_width is not None,
            CLASS_INPUT: self.noises_picture,
        }
        return {name for name, there in wanted.items() if there}

    @property
    def takes_mask(self) -> bool:
        """Whether it takes a mask, as inpainting models do."""
        return any(part.source == "mask" for part in self.channels)

    @property
    def picture(self) -> ConditioningChannels | None:
        """The channels that are made from a picture of their own; None for a network without such."""
        return next((part for part in self.channels if part.source in ("latents", "pixels", "depth")), None)

    @property
    def guides_picture(self) -> bool:
        """Whether guidance has a second scale, of the picture."""
        return any(part.guided for part in self.channels)

    @property
    def noises_picture(self) -> bool:
        """Whether noise is added to the picture; its level is then the network's class label."""
        return any(part.noised for part in self.channels)

    @property
    def takes_negative_prompt(self) -> bool:
        """Whether guidance can lead away from a negative prompt."""
        return self.text and self.guidance_width is None


def _predicts_variance(predicted: Any, channels: Any) -> bool:
    if predicted in (None, channels) or channels is None:
        return False
    if predicted != 2 * channels:
        raise BundleError(
            f"the unet predicts {shown(predicted)} channels for a sample of {shown(channels)}: a denoiser predicts as "
            "many, or twice as many, the second half for a learned variance"
        )
    return True


def _multiple(config: Mapping[str, Any]) -> int:
    """``size_multiple`` is a key of this project's exporter; diffusers has no such key."""
    levels = config.get("block_out_channels")
    multiple = config.get("size_multiple") or config.get("patch_size")
    if isinstance(multiple, int) and multiple > 0:
        return multiple
    return int(2 ** (len(levels) - 1)) if isinstance(levels, list) and levels else 1


def _largest_side(config: Mapping[str, Any]) -> int | None:
    """Positions along a side, each of a patch: a table of them is cut to the size of the image."""
    positions = config.get("pos_embed_max_size")
    return None if positions is None else int(positions * (config.get("patch_size") or 1))


NO_INPUTS = UnetInputs()
"""A UNet that takes only sample, timestep and perhaps a class."""


def check_sides(height: int, width: int, multiple: int, *, largest: int = MAX_SIDE) -> None:
    """ConfigError, with the nearest valid sides, unless both are multiples of ``multiple`` and at most ``largest``."""
    for name, side in (("height", height), ("width", width)):
        whole_number(name, side, low=1, high=largest)
        if side % multiple:
            below, above = side - side % multiple, side - side % multiple + multiple
            nearest = f"{below} or {above}" if below else str(above)
            raise ConfigError(f"{name} {side} is not a multiple of {multiple}, which this model needs: use {nearest}")
