"""The networks beside the UNet: what reads a prompt, and what turns latents into images."""

import warnings
from collections.abc import Mapping
from typing import NamedTuple, Self

from .bundle import Bundle
from .images import Pixels, to_pixels
from .schedule import Sample
from .session import TensorInfo
from .text import TextEncoder
from .vae import Vae


class UncheckedWarning(UserWarning):
    """A bundle has a safety checker, and it is not run."""


class Parts(NamedTuple):
    """Each is None for a model that has no such thing."""

    text: TextEncoder | None = None
    vae: Vae | None = None

    @classmethod
    def open(cls, bundle: Bundle, unet_inputs: Mapping[str, TensorInfo], provider: str) -> Self:
        """Open what the bundle has; BundleError or ProviderError where that fails."""
        wants_text, vae = bundle.inputs.text, bundle.vae
        if (bundle.folder / "safety_checker" / "model.onnx").is_file():
            warnings.warn(
                f"{bundle.name} has a safety checker, which is not run yet: its images are unchecked",
                UncheckedWarning,
                stacklevel=2,
            )
        return cls(
            text=TextEncoder.open(bundle.folder, unet_inputs, provider) if wants_text else None,
            vae=Vae(bundle.folder, vae, provider) if vae else None,
        )

    def pixels(self, samples: Sample) -> Pixels:
        """Finished samples, float32 (B, C, H, W), as images, uint8 (B, H', W', C')."""
        return to_pixels(self.vae.decode(samples) if self.vae else samples)
