"""The denoising UNet, and the text encoder that is trained with it."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ddim_edge.diffusion.schedule import alpha_bars

from ..loop import Loss
from ..recipe import DIFFUSION, Recipe
from .autoencoder import CHANNELS, FACTOR
from .data import SIDE
from .tokenizer import TOKENS

RECIPE = Recipe(steps=5_300, learning_rate=2.5e-3, batch_size=64, warmup_steps=100, ema_decay=0.998)
WIDTHS = (64, 96)
_TEXT_WIDTH = 128


class TextToLatents(torch.nn.Module):
    """A text encoder of two layers and a UNet with one level per width, trained together."""

    def __init__(self, tokenizer: CLIPTokenizer, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=_TEXT_WIDTH,
                intermediate_size=2 * _TEXT_WIDTH,
                projection_dim=_TEXT_WIDTH,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=TOKENS,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        self.unet = UNet2DConditionModel(
            sample_size=SIDE // FACTOR,
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            layers_per_block=1,
            block_out_channels=widths,
            down_block_types=("CrossAttnDownBlock2D",) * len(widths),
            up_block_types=("CrossAttnUpBlock2D",) * len(widths),
            norm_num_groups=8,
            attention_head_dim=4,
            cross_attention_dim=_TEXT_WIDTH,
        )

    def forward(self, sample: torch.Tensor, timesteps: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """The prediction, (B, C, H, W), at timesteps (B,) for token ids (B, 24)."""
        unet: Any = self.unet
        text = self.text_encoder(input_ids=tokens).last_hidden_state
        prediction: torch.Tensor = unet(sample, timesteps, text, return_dict=False)[0]
        return prediction


def token_ids(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> torch.Tensor:
    """The token ids of texts, int64 (N, 24)."""
    encoded: Any = tokenizer(list(texts), padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt")
    tokens: torch.Tensor = encoded.input_ids
    return tokens


def denoiser_loss(latents: torch.Tensor, tokens: torch.Tensor, empty: torch.Tensor, recipe: Recipe = RECIPE) -> Loss:
    """Squared error of v for a batch of latents (N, C, H, W) with captions (N, 24), some made ``empty`` (24,)."""
    table = torch.from_numpy(alpha_bars(DIFFUSION)).float()
    signals, noises = table.sqrt(), (1 - table).sqrt()

    def loss(module: torch.nn.Module, _step: int, random: torch.Generator) -> torch.Tensor:
        rows = torch.randperm(len(latents), generator=random)[: recipe.batch_size]
        latent, count = latents[rows], len(rows)
        dropped = torch.rand(count, generator=random) < recipe.label_dropout
        captions = torch.where(dropped[:, None], empty, tokens[rows])
        # Stratified timesteps, more of them at high noise, where the caption has the most influence.
        uniform = (torch.arange(count) + torch.rand(count, generator=random)) / count
        timesteps = (uniform**0.6 * len(table)).long()
        noise = torch.randn(latent.shape, generator=random)
        signal, sigma = (column[timesteps].view(-1, 1, 1, 1) for column in (signals, noises))
        prediction = module(signal * latent + sigma * noise, timesteps, captions)
        return torch.nn.functional.mse_loss(prediction, signal * noise - sigma * latent)

    return loss
