"""Which function calls a network, and what its config says of its inputs."""

from .networks.autoencoder import call_decoder, call_encoder, read_decoder, read_encoder
from .networks.conditioning import BASE_TIME_IDS
from .networks.denoiser import call_controlnet, call_unet, read_conditional, read_controlnet, read_signature
from .networks.network import Call
from .networks.safety_checker import call_safety_checker, read_safety_checker
from .networks.signature import Signature
from .networks.text_encoder import call_text_encoder, read_text_encoder
from .sources.diffusers_folder import Part, Source

_REFINER_TIME_IDS = 5


def describe_part(part: Part, source: Source) -> tuple[Call, Signature]:
    """How to call a part's network and with what. ConfigError names what in its config cannot be honoured."""
    time_ids = _REFINER_TIME_IDS if source.index.get("requires_aesthetics_score") else BASE_TIME_IDS
    match part.name, part.kind:
        case _, "UNet2DModel":
            return call_unet, read_signature(part.config)
        case _, "UNet2DConditionModel":
            signature = read_conditional(part.config, time_ids=time_ids, residuals=source.has_controlnet)
            return call_unet, signature
        case _, "ControlNetModel":
            return call_controlnet, read_controlnet(part.config, time_ids=time_ids)
        case "vae_encoder", _:
            return call_encoder, read_encoder(part.config)
        case "vae_decoder", _:
            return call_decoder, read_decoder(part.config)
        case "safety_checker", _:
            return call_safety_checker, read_safety_checker(part.config)
        case _:
            return call_text_encoder, read_text_encoder(part.config)
