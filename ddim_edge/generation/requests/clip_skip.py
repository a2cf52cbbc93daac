"""Clip skip: whether the model's text encoders have so many layers to leave out, read from their graphs' outputs."""

from ...bundle.bundle import Bundle
from ...bundle.layout import TEXT_ENCODER, TEXT_ENCODER_2
from ...errors import ConfigError
from ...graphs.inputs import declared_outputs
from .request import Request


def check_clip_skip(bundle: Bundle, request: Request) -> None:
    """Raise ConfigError for more layers than a text encoder can leave out. Opens no network."""
    if not request.clip_skip:
        return
    for encoder in (TEXT_ENCODER, TEXT_ENCODER_2):
        if encoder.is_in(bundle.folder):
            names = declared_outputs(bundle.folder / encoder.graph)
            states = sum(name.startswith("hidden_states.") for name in names)
            most = max(states - (2 if bundle.inputs.pooled else 1), 0)  # SDXL leaves the last one out itself
            if request.clip_skip > most:
                why = "" if states else ": its graph does not return the layers' hidden states, so export it again"
                what = f"{encoder.name} of {bundle.name}"
                raise ConfigError(f"clip_skip must be at most {most} for {what}, not {request.clip_skip}{why}")
