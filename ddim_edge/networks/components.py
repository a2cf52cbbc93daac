"""Components: a bundle's networks beside the UNet: text encoders, VAE, safety checker, image encoder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from ..arrays import Pixels, Sample
from ..bundle.bundle import Bundle
from ..bundle.layout import MODEL, SHALLOW_MODEL, STEP_MODEL, UNET
from ..bundle.output import IMAGE, Output
from ..images.encode import to_pixels
from ..images.formats import images_of
from ..images.quantities import QUANTITIES
from ..lora.bank import open_bank
from ..runtime.sessions.pool import Sessions
from ..runtime.sessions.session import Session
from ..runtime.sessions.tensors import TensorInfo
from ..text import Text, open_text
from .controlnet import ControlNets
from .denoiser import Denoiser
from .image_prompts import ImagePromptEncoder
from .safety_checker import CheckedImages, SafetyChecker
from .vae import Vae


def open_unet(bundle: Bundle, sessions: Sessions) -> Session:
    """Open the network that denoises: the graph that also computes the step (``unet_step.onnx``) if the bundle has it.

    Raises BundleError or ProviderError if that fails.
    """
    return sessions.open(unet_graph(bundle), bundle.folder, each_step=True)


def shallow_opener(bundle: Bundle, sessions: Sessions) -> Callable[[], Session] | None:
    """What opens the UNet's shallow graph; None where the bundle has none.

    With low memory it stays open: it is called in turn with the UNet, and has few weights. It raises BundleError or
    ProviderError if that fails.
    """
    if not bundle.has_shallow_graph:
        return None
    path = bundle.folder / UNET.name / SHALLOW_MODEL
    return lambda: sessions.open(path, bundle.folder, each_step=True, keep_open=True)


def open_denoiser(bundle: Bundle, controls: ControlNets, sessions: Sessions) -> Denoiser:
    """Open the UNet, with its shallow graph and its LoRA slots, if it has them. Raises as ``open_unet``."""
    unet = open_unet(bundle, sessions)
    bank = open_bank(bundle.folder, unet, bundle.lora_slots)
    return Denoiser(unet, controls, shallow_opener(bundle, sessions), bank)


def unet_graph(bundle: Bundle) -> Path:
    """The graph that is run at every step, as in ``open_unet``."""
    plain, fused = (bundle.folder / bundle.denoiser.name / name for name in (MODEL, STEP_MODEL))
    return fused if fused.is_file() else plain


class Finished(NamedTuple):
    """What samples become.

    Attributes:
        samples: float32 (B, …) in the units of the model's output; of images those that ``images`` are rounded from.
        images: uint8 (B, H, W, C); None where the output is no image.
        is_safe: which images passed the safety checker; None if they were not checked.
    """

    samples: Sample
    images: Pixels | None
    is_safe: tuple[bool, ...] | None


class Components(NamedTuple):
    """The networks beside the UNet, each None if the model has none; and what samples are."""

    text: Text | None = None
    vae: Vae | None = None
    safety: SafetyChecker | None = None
    image_prompts: ImagePromptEncoder | None = None
    output: Output = IMAGE

    @classmethod
    def open(cls, bundle: Bundle, unet_inputs: Mapping[str, TensorInfo], sessions: Sessions) -> Self:
        """Open those that the bundle has; BundleError or ProviderError if that fails."""
        wants_text, vae, prompts = bundle.inputs.text, bundle.vae, bundle.image_prompts
        return cls(
            text=open_text(bundle.folder, unet_inputs, sessions) if wants_text else None,
            vae=Vae(bundle.folder, vae, sessions) if vae else None,
            safety=SafetyChecker.open(bundle.folder, sessions),
            image_prompts=ImagePromptEncoder(bundle.folder, prompts, sessions) if prompts.adapters else None,
            output=bundle.output,
        )

    def finished(
        self, samples: Sample, *, check: bool = True, tiles: bool = False, tile: int | None = None
    ) -> Finished:
        """Decode samples, float32 (B, …), whole or in ``tiles`` of side ``tile``; ``check`` images.

        Unsafe images are black: their samples are -1.
        """
        samples = np.asarray(samples)  # may still be on the device
        if not self.output.is_image:
            return Finished(self.output.restored(samples), None, None)
        decoded = self.vae.decode(samples, tiles=tiles, tile=tile) if self.vae else samples
        if self.output.quantity:
            return Finished(*QUANTITIES[self.output.quantity](decoded), None)
        images = to_pixels(decoded)
        if self.safety is None or not check:
            return Finished(decoded, images, None)
        checked = self.safety.check(images)
        kept = np.array(checked.is_safe).reshape(-1, 1, 1, 1)
        return Finished(np.where(kept, decoded, np.float32(-1)), *checked)

    def to_images(self, samples: Sample, *, check: bool = True, tiles: bool = False, tile: int | None = None) -> Pixels:
        """Decode samples, float32 (B, C, H, W), to images, uint8 (B, H', W', C'). ConfigError for arrays."""
        return self.to_checked_images(samples, check=check, tiles=tiles, tile=tile).images

    def to_checked_images(
        self, samples: Sample, *, check: bool = True, tiles: bool = False, tile: int | None = None
    ) -> CheckedImages:
        """The images of ``finished``, and which of them are safe. ConfigError for a model that makes arrays."""
        _, images, is_safe = self.finished(samples, check=check, tiles=tiles, tile=tile)
        return CheckedImages(images_of(images), is_safe)
