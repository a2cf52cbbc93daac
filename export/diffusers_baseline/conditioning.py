"""The further inputs of a diffusers UNet: from its text encoders, or random numbers of the same shape."""

from collections.abc import Mapping
from typing import Any

import torch

from .networks import Networks

_TOKENS = 77
_TIME_IDS = 6


class Conditioner:
    """Makes the arguments of a UNet besides sample and timestep for a batch; computed again for every image."""

    def __init__(self, networks: Networks, batch: int, *, guided: bool) -> None:
        self._unet, self._text_encoders = networks.unet, networks.text_encoders
        self._batch, self._guided = batch, guided

    @property
    def rows(self) -> int:
        """Rows of a network call: two per image with guidance."""
        return self._batch * (1 + self._guided)

    def arguments(self) -> dict[str, Any]:
        """All arguments except sample and timestep, on the network's device and in its data type."""
        config = self._unet.config
        found: dict[str, Any] = {}
        if getattr(config, "num_class_embeds", None) is not None:
            found["class_labels"] = torch.arange(self.rows, device=self._unet.device) % config.num_class_embeds
        if getattr(config, "cross_attention_dim", None) is not None:
            found |= self._text(config)
        if getattr(config, "time_cond_proj_dim", None):
            found["timestep_cond"] = self._normal(config.time_cond_proj_dim)
        return found

    def _text(self, config: Any) -> dict[str, Any]:
        with_pooled = getattr(config, "addition_embed_type", None) == "text_time"
        hidden, pooled = self._encoded(with_pooled) if self._text_encoders else (None, None)
        if hidden is None:
            hidden = self._normal(_TOKENS, getattr(config, "encoder_hid_dim", None) or config.cross_attention_dim)
        if not with_pooled:
            return {"encoder_hidden_states": hidden}
        if pooled is None:
            width = config.projection_class_embeddings_input_dim - _TIME_IDS * config.addition_time_embed_dim
            pooled = self._normal(width)
        numbers = config.projection_class_embeddings_input_dim - pooled.shape[-1]
        ids = self._normal(numbers // config.addition_time_embed_dim)
        return {"encoder_hidden_states": hidden, "added_cond_kwargs": {"text_embeds": pooled, "time_ids": ids}}

    def _encoded(self, with_pooled: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Hidden states of all encoders, concatenated along the width, and the last one's pooled output."""
        hidden, pooled = [], None
        for text_encoder in self._text_encoders:
            shape = self._batch, text_encoder.config.max_position_embeddings
            halves = [self._encode(text_encoder, shape, with_pooled) for _ in range(1 + self._guided)]
            hidden.append(torch.cat([states for states, _ in halves]))
            pooled = torch.cat([vector for _, vector in halves])
        return torch.cat(hidden, dim=-1), pooled

    def _encode(
        self, text_encoder: Any, shape: tuple[int, int], with_pooled: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = torch.randint(text_encoder.config.vocab_size, shape, device=text_encoder.device)
        outputs = text_encoder(tokens, output_hidden_states=with_pooled)
        pooled = getattr(outputs, "text_embeds", None)
        pooled = outputs.pooler_output if pooled is None else pooled
        return (outputs.hidden_states[-2] if with_pooled else outputs.last_hidden_state), pooled

    def _normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(self.rows, *shape, device=self._unet.device, dtype=self._unet.dtype)


def unet_arguments(inputs: Mapping[str, Any], rows: int, unet: Any) -> dict[str, Any]:
    """Inputs by name, one row each, as the UNet's arguments for ``rows`` equal rows."""
    arguments: dict[str, Any] = {}
    for name, array in inputs.items():
        tensor = torch.from_numpy(array).to(unet.device)
        tensor = tensor.to(unet.dtype) if tensor.is_floating_point() else tensor
        tiled = tensor.expand(rows, *tensor.shape[1:]).contiguous()
        target = arguments.setdefault("added_cond_kwargs", {}) if name in ("text_embeds", "time_ids") else arguments
        target[name] = tiled
    return arguments
