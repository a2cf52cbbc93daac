"""CLIP's text encoders. Inputs and outputs, with all hidden states, have the names that optimum gives them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..config_keys import Config, count
from .signature import Draw, Input, Signature

_PROJECTION = 512
"""What transformers assumes of a config without projection_dim."""


def text_encoder_signature(config: Config) -> Signature:
    """Takes token ids, always as many as the encoder has positions. Returns hidden states and the pooled output.

    ``hidden_states.0`` is the embedding and ``hidden_states.N`` what the N-th layer returns, before the last norm.
    """
    tokens = count(config, "max_position_embeddings", default=77)
    states = [f"hidden_states.{layer}" for layer in range(count(config, "num_hidden_layers") + 1)]
    draw = _sentences(count(config, "vocab_size"), config.get("eos_token_id"))
    hidden = ("batch", tokens, count(config, "hidden_size"))
    if _is_projected(config):
        pooled, width = "text_embeds", count(config, "projection_dim", default=_PROJECTION)
    else:
        pooled, width = "pooler_output", count(config, "hidden_size")
    return Signature(
        inputs=(Input(name="input_ids", axes=("batch", tokens), draw=draw),),
        outputs={"last_hidden_state": hidden, pooled: ("batch", width), **dict.fromkeys(states, hidden)},
        sizes=({},),
    )


def _is_projected(config: Config) -> bool:
    return next(iter(config.get("architectures") or ()), None) == "CLIPTextModelWithProjection"


def call_text_encoder(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Call the text encoder. Returns the last hidden state, the pooled output, and all hidden states."""
    output: Any = module(input_ids=inputs["input_ids"], output_hidden_states=True, return_dict=True)
    pooled = output.text_embeds if "text_embeds" in output else output.pooler_output
    return output.last_hidden_state, pooled, *output.hidden_states


def _sentences(vocabulary: int, end: Any) -> Draw:
    """Draws token ids with the end token somewhere in every row, because the text is pooled there."""

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int64]:
        tokens = random.integers(0, vocabulary, shape)
        if isinstance(end, int) and 0 <= end < vocabulary:
            tokens[np.arange(len(tokens)), random.integers(1, shape[1], len(tokens))] = end
        return tokens

    return draw
