"""The inputs of a denoising network besides sample and timestep, read from its config.json."""

import numpy as np
from numpy.typing import NDArray

from ddim_edge.errors import ConfigError

from ..config_keys import Config, count, one_of, widths
from .signature import Input, distinct_integers

BASE_TIME_IDS = 6
"""SDXL's base model takes original size, crop and target size. Its refiner takes 5: a score instead of the target size.
A UNet's config does not say which it is."""

_LARGEST_IMAGE = 1024


def label_inputs(config: Config, timesteps: int) -> tuple[Input, ...]:
    """The input class_labels: class indices, numbers embedded like timesteps, or embeddings. Empty without classes."""
    kind = config.get("class_embed_type")
    if kind == "timestep":
        return (Input(name="class_labels", axes=("batch",), draw=distinct_integers(0, timesteps)),)
    if kind == "identity":
        return (Input(name="class_labels", axes=("batch", _embedding_width(config))),)
    if kind in ("projection", "simple_projection"):
        width = count(config, "projection_class_embeddings_input_dim")
        return (Input(name="class_labels", axes=("batch", width)),)
    if config.get("num_class_embeds") is None:
        return ()
    return (Input(name="class_labels", axes=("batch",), draw=distinct_integers(0, count(config, "num_class_embeds"))),)


def text_inputs(config: Config, time_ids: int) -> tuple[Input, ...]:
    """The inputs from text: its embedding, the embedded guidance scale, SDXL's pooled text and micro-conditioning."""
    inputs = [Input(name="encoder_hidden_states", axes=("batch", "sequence", _text_width(config)))]
    if config.get("time_cond_proj_dim"):
        inputs.append(Input(name="timestep_cond", axes=("batch", count(config, "time_cond_proj_dim"))))
    if one_of(config, "addition_embed_type", (None, "text", "text_time")) == "text_time":
        inputs += _micro_conditioning(config, time_ids)
    return tuple(inputs)


def _embedding_width(config: Config) -> int:
    if config.get("time_embedding_dim"):
        return count(config, "time_embedding_dim")
    return 4 * widths(config, "block_out_channels")[0]


def _text_width(config: Config) -> int:
    if config.get("encoder_hid_dim"):
        return count(config, "encoder_hid_dim")
    if isinstance(config.get("cross_attention_dim"), (list, tuple)):
        return widths(config, "cross_attention_dim")[0]
    return count(config, "cross_attention_dim")


def _micro_conditioning(config: Config, time_ids: int) -> list[Input]:
    """SDXL's inputs: its projection takes the pooled text and the embeddings of ``time_ids`` numbers together."""
    total, each = count(config, "projection_class_embeddings_input_dim"), count(config, "addition_time_embed_dim")
    pooled = total - each * time_ids
    if pooled < 1:
        raise ConfigError(
            f"projection_class_embeddings_input_dim {total} is too small for {time_ids} time_ids of "
            f"addition_time_embed_dim {each} and a pooled text embedding"
        )
    return [
        Input(name="text_embeds", axes=("batch", pooled)),
        Input(name="time_ids", axes=("batch", time_ids), draw=_pixels),
    ]


def _pixels(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return random.integers(0, _LARGEST_IMAGE, shape, endpoint=True).astype(np.float32)
