"""T5's text encoder: its signature, read from config.json, and how PyTorch calls it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..config_keys import Config, count
from .signature import Input, Signature, distinct_integers


def t5_encoder_signature(config: Config, length: int) -> Signature:
    """Takes ``length`` token ids, and a mask that is 0 for padding. Returns the hidden states."""
    axes = ("batch", length)
    return Signature(
        inputs=(
            Input(name="input_ids", axes=axes, draw=distinct_integers(0, count(config, "vocab_size"))),
            Input(name="attention_mask", axes=axes, draw=padded),
        ),
        outputs={"last_hidden_state": (*axes, count(config, "d_model"))},
        sizes=({},),
    )


def call_t5_encoder(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor]:
    """Call the encoder. Returns the last hidden state."""
    output: Any = module(**inputs, return_dict=True)
    return (output.last_hidden_state,)


def padded(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Draws rows of ones, at least one, with zeros behind them."""
    lengths = random.integers(1, shape[1] + 1, (shape[0], 1))
    return (np.arange(shape[1]) < lengths).astype(np.int64)
