"""Chooses, by a component's class, the function that calls its network and the signature read from its config."""

from .networks.autoencoder import call_decoder, call_encoder, decoder_signature, encoder_signature
from .networks.conditioning import BASE_TIME_IDS
from .networks.denoiser import (
    call_controlnet,
    call_unet,
    conditional_unet_signature,
    controlnet_signature,
    unet_signature,
)
from .networks.network import Call
from .networks.safety_checker import call_safety_checker, safety_checker_signature
from .networks.signature import Signature
from .networks.text_encoder import call_text_encoder, text_encoder_signature
from .sources.diffusers_folder import Component, Source

_REFINER_TIME_IDS = 5


def call_and_signature(component: Component, source: Source) -> tuple[Call, Signature]:
    """The function that calls a component's network, and its signature. ConfigError names an unsupported config key."""
    time_ids = _REFINER_TIME_IDS if source.index.get("requires_aesthetics_score") else BASE_TIME_IDS
    match component.name, component.kind:
        case _, "UNet2DModel":
            return call_unet, unet_signature(component.config)
        case _, "UNet2DConditionModel":
            signature = conditional_unet_signature(component.config, time_ids=time_ids, residuals=source.has_controlnet)
            return call_unet, signature
        case _, "ControlNetModel":
            return call_controlnet, controlnet_signature(component.config, time_ids=time_ids)
        case "vae_encoder", _:
            return call_encoder, encoder_signature(component.config)
        case "vae_decoder", _:
            return call_decoder, decoder_signature(component.config)
        case "safety_checker", _:
            return call_safety_checker, safety_checker_signature(component.config)
        case _:
            return call_text_encoder, text_encoder_signature(component.config)
