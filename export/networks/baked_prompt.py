"""The empty prompt as a constant of the UNet, for models that take no other: they then need no text encoder."""

from collections.abc import Mapping

import torch

from ..quiet import quiet
from ..sources.diffusers_folder import Component
from ..sources.weights import load_network
from .denoiser import call_unet

_BUFFER = "baked_prompt"


def bake_prompt(unet: torch.nn.Module, encoder: Component) -> None:
    """Give a UNet the text encoder's hidden states of the empty prompt, without padding: (1, 2, width)."""
    import transformers

    module, _ = load_network(encoder)
    with quiet():
        tokenizer = transformers.CLIPTokenizer.from_pretrained(
            encoder.folder.parent / "tokenizer", local_files_only=True
        )
    with torch.no_grad():
        tokens = torch.tensor([tokenizer("").input_ids])
        unet.register_buffer(_BUFFER, module.eval()(input_ids=tokens).last_hidden_state.clone())


def call_unet_with_prompt(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor]:
    """Call a UNet with its own prompt. Returns the prediction."""
    prompt = module.get_buffer(_BUFFER).expand(inputs["sample"].shape[0], -1, -1)
    return call_unet(module, {**inputs, "encoder_hidden_states": prompt})
