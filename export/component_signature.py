"""How a component's network is called, its signature, and the config.json that it gets in the bundle."""

from typing import Any

from ddim_edge.bundle.layout import DENOISER_NAMES, UNET
from ddim_edge.bundle.lora_slots import WITH_LORA_SLOTS

from .config_keys import Config, null_class
from .networks.autoencoder import call_decoder, call_encoder, decoder_signature, encoder_signature
from .networks.baked_prompt import call_unet_with_prompt
from .networks.conditioning import BASE_TIME_IDS
from .networks.denoiser import (
    call_controlnet,
    call_unet,
    conditional_unet_signature,
    controlnet_signature,
    unet_signature,
)
from .networks.image_prompt import call_image_encoder, image_encoder_signature, image_prompt_inputs
from .networks.network import Call
from .networks.safety_checker import call_safety_checker, safety_checker_signature
from .networks.signature import Signature
from .networks.t5_encoder import call_t5_encoder, t5_encoder_signature
from .networks.text_encoder import call_text_encoder, text_encoder_signature
from .networks.transformer import (
    call_masked_transformer,
    call_text_transformer,
    call_transformer,
    class_signature,
    masked_text_signature,
    takes_sizes,
    text_signature,
)
from .options import Options
from .picture_channels import channel_keys
from .sources.diffusers_folder import Component, Source
from .sources.image_encoder import image_prompt_config
from .sources.new_words import text_config
from .sources.pictures import latent_scale
from .sources.pipeline_class import t5_tokens
from .static_shapes import fix_sizes

_REFINER_TIME_IDS = 5
_ANY_SIZE = {"size_multiple": 1}
"""For a UNet's config.json: the sides of a sample are multiples of this; without it, of 2^(levels-1)."""


def signature_of(component: Component, source: Source, options: Options) -> tuple[Call, Signature]:
    """How a component's network is called and with what, at fixed sizes if ``options`` has them. Raises ConfigError."""
    call, signature = _call_and_signature(component, source)
    return call, signature if options.static is None else fix_sizes(signature, component, source, options.static)


def config_of(component: Component, source: Source, options: Options) -> Config:
    """The component's config.json in the bundle, with its LoRA slots."""
    slots = options.lora.to_json() if options.lora and component.name in WITH_LORA_SLOTS else {}
    return {**_own_config(component, source, options), **slots}


def _own_config(component: Component, source: Source, options: Options) -> Config:
    """A denoiser's also says which sizes and classes the graph takes."""
    if component.name == "image_encoder":
        return {**component.config, **image_prompt_config(source)}
    if component.name.startswith("text_encoder"):
        return text_config(component, source)
    if component.name.startswith("vae_"):
        return {**component.config, **latent_scale(source.index)}
    if component.name not in DENOISER_NAMES:
        return component.config
    config = {**component.config, **_added_keys(component, source, any_size=options.static is None)}
    if options.static is None:
        return config
    _, signature = signature_of(component, source, options)
    (size,) = signature.sizes
    return {**config, "sample_size": [size["height"], size["width"]]}


def _added_keys(component: Component, source: Source, *, any_size: bool) -> Config:
    """What the runtime is told beside diffusers' keys."""
    if component.kind == "DiTTransformer2DModel":
        return {"num_class_embeds": null_class(component.config) + 1}
    if component.kind == "PixArtTransformer2DModel":
        return {"use_additional_conditions": takes_sizes(component.config)}
    if component.name != UNET.name:
        return {}
    baked = {} if source.baked_prompt is None else {"baked_prompt": True}
    takes_any_size = any_size and component.kind == "UNet2DConditionModel"
    return {**channel_keys(component.config, source), **baked, **(_ANY_SIZE if takes_any_size else {})}


def _class(source: Source) -> Any:
    return source.index.get("_class_name")


def _call_and_signature(component: Component, source: Source) -> tuple[Call, Signature]:
    """The function that calls a component's network, and its signature. ConfigError names an unsupported config key."""
    time_ids = _REFINER_TIME_IDS if source.index.get("requires_aesthetics_score") else BASE_TIME_IDS
    match component.name, component.kind:
        case _, "UNet2DModel":
            return call_unet, unet_signature(component.config)
        case _, "UNet2DConditionModel":
            images = image_prompt_inputs(source.ip_adapters, source.image_encoder)
            has_text = source.baked_prompt is None
            signature = conditional_unet_signature(
                component.config, time_ids=time_ids, residuals=source.has_controlnet, images=images, text=has_text
            )
            return call_unet if has_text else call_unet_with_prompt, signature
        case _, "ControlNetModel":
            return call_controlnet, controlnet_signature(component.config, time_ids=time_ids)
        case _, "DiTTransformer2DModel":
            return call_transformer, class_signature(component.config)
        case _, "SD3Transformer2DModel":
            return call_text_transformer, text_signature(component.config)
        case "vae_encoder", _:
            return call_encoder, encoder_signature(component.config)
        case "vae_decoder", _:
            return call_decoder, decoder_signature(component.config)
        case _, "PixArtTransformer2DModel":
            return call_masked_transformer, masked_text_signature(component.config, t5_tokens(_class(source)))
        case _, "T5EncoderModel":
            return call_t5_encoder, t5_encoder_signature(component.config, t5_tokens(_class(source)))
        case "image_encoder", _:
            return call_image_encoder, image_encoder_signature(component.config, source.ip_adapters)
        case "safety_checker", _:
            return call_safety_checker, safety_checker_signature(component.config)
        case _:
            return call_text_encoder, text_encoder_signature(text_config(component, source))
