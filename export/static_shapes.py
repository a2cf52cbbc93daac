"""The lengths of a bundle's free axes, once batch and image size are fixed."""

from ddim_edge.errors import ConfigError

from .networks.autoencoder import factor
from .networks.signature import Signature
from .options import Static
from .sources.diffusers_folder import Part, Source

_TOKENS = 77


def fix(signature: Signature, part: Part, source: Source, static: Static) -> Signature:
    """A part's signature at one batch and one image size. ConfigError where its networks take no such size."""
    unit = _unit(source)
    if static.height % unit or static.width % unit:
        nearest = " and ".join(f"{max(round(side / unit), 1) * unit}" for side in (static.height, static.width))
        raise ConfigError(
            f"static {static}: height and width must be multiples of {unit} for this model; the nearest are {nearest}"
        )
    # Encoders of images, and what looks at them, take pixels; all others latents, where there are any.
    side = 1 if part.name in ("vae_encoder", "safety_checker") else _pixels(source)
    lengths = {"height": static.height // side, "width": static.width // side, "sequence": _tokens(source)}
    # The run time encodes one prompt, and one image, at a time.
    samples = part.kind == "ControlNetModel" or part.name == "unet"
    return signature.fixed(static.batch if samples else 1, lengths)


def _unit(source: Source) -> int:
    levels = [
        len(part.config["block_out_channels"])
        for part in source.parts
        if part.kind == "UNet2DModel" and part.config.get("block_out_channels")
    ]
    return _pixels(source) * int(2 ** (max(levels, default=1) - 1))


def _pixels(source: Source) -> int:
    """How many a value of the UNet's sample stands for along each side; 1 without an autoencoder."""
    return 1 if source.autoencoder is None else factor(source.autoencoder)


def _tokens(source: Source) -> int:
    encoders = [part.config for part in source.parts if part.name.startswith("text_encoder")]
    return int(next((config["max_position_embeddings"] for config in encoders), _TOKENS))
