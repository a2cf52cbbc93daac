"""Whether the samples of a graph are those that its bundle describes, and those that a request asks for."""

from collections.abc import Sequence

from ..bundle.bundle import Bundle
from ..errors import BundleError, ConfigError, listed
from .requests.request import Request

Axes = Sequence[int | str]
"""The axes of a graph's sample without the batch: lengths, and names of free axes."""


def check_sample(bundle: Bundle, declared: Axes) -> None:
    """BundleError where a network's sample, without the batch, has not the axes that the JSON files describe."""
    shape = bundle.sample_shape
    fits = len(declared) == len(shape)
    if fits and bundle.output.is_image:
        return  # of images, Pipeline checks the sides that were asked for; an inpainting model has more channels
    if not fits or any(isinstance(axis, int) and axis != side for axis, side in zip(declared, shape, strict=True)):
        network = bundle.denoiser.name
        raise BundleError(
            f"{bundle.name}'s {network} takes samples of the shape ({listed(map(str, declared))}), and its config.json "
            f"describes {shape}: set sample_shape in {network}/config.json, or export the model again"
        )


def check_size(bundle: Bundle, request: Request, declared: Axes) -> None:
    """Raise ConfigError for a size that the graph was not exported for."""
    if not bundle.output.is_image and (request.height, request.width) == (None, None):
        return  # ``check_sample`` has checked the only shape
    shape = bundle.sample_shape_for(request.height, request.width)
    fixed = declared[1:]
    if any(isinstance(side, int) and side != wanted for side, wanted in zip(fixed, shape[1:], strict=True)):
        _, height, width = bundle.image_shape() if bundle.output.is_image else bundle.sample_shape
        raise ConfigError(
            f"{bundle.name}'s {bundle.denoiser.name} takes only samples of {fixed[0]}x{fixed[1]}, not "
            f"{shape[1]}x{shape[2]}: leave height and width out (default: {height} and {width}), or export it without "
            "fixed sizes, if the network takes others"
        )
