"""What a model makes, in the words of ``ddim-edge inspect``: images or arrays, and what it makes them from."""

from ..bundle.bundle import Bundle
from ..generation.requests.guidance import default_guidance
from ..generation.requests.named_arrays import described


def output_lines(bundle: Bundle) -> list[str]:
    """The lines about what the model makes, and about the arrays that are given by name."""
    lines = _image_lines(bundle) if bundle.output.is_image else _array_lines(bundle)
    if bundle.is_policy:
        return lines  # its encoder makes them
    return lines + [f"conditioning by name: {described(*each)}" for each in bundle.free_inputs.items()]


def _array_lines(bundle: Bundle) -> list[str]:
    """The lines about arrays: their shape, axes, units and normalization; classes."""
    output = bundle.output
    text = f"arrays of shape {bundle.sample_shape}"
    if output.axes:
        text += f", axes {', '.join(output.axes)}"
    if any(bundle.free_axes):
        text += f", free axes (--shape) {', '.join(str(axis) for axis, free in enumerate(bundle.free_axes) if free)}"
    if output.names:
        text += f", of {', '.join(output.names)}"
    if output.units:
        text += f", in {output.units}"
    if output.normalization:
        text += f"; their {output.normalization.mode} normalization is undone along axis {output.normalization.axis}"
    return [text, f"classes {', '.join(bundle.labels)}; {_guidance(bundle)}"] if bundle.labels else [text]


def _image_lines(bundle: Bundle) -> list[str]:
    """The lines about the images: size, channels, latents, classes or prompt, guidance."""
    channels, height, width = bundle.image_shape()
    text = f"images of {height}x{width} pixels, {channels} channel{'s' if channels > 1 else ''}"
    if bundle.vae is not None:
        latents = bundle.sample_shape
        text += f", from latents of {latents[1]}x{latents[2]}, {latents[0]} channels"
    if bundle.output.quantity:
        return [f"{text}: {bundle.output.quantity.replace('_', ' ')} as colours, or as numbers in .npy and .npz files"]
    if bundle.inputs.picture is not None:
        text += f"; from --image, its {bundle.inputs.picture.name}"
    if bundle.inputs.text:
        return [text, f"generated from a prompt{_adapters(bundle)}; {_guidance(bundle)}"]
    return [text, f"classes {', '.join(bundle.labels) or 'none'}; {_guidance(bundle)}"]


def _adapters(bundle: Bundle) -> str:
    names = [adapter.name for adapter in bundle.image_prompts.adapters]
    return f", and images for the IP-Adapters {', '.join(names)}" if names else ""


def _guidance(bundle: Bundle) -> str:
    if bundle.inputs.guidance_width is not None:
        return f"guidance is built into the network, by default {default_guidance(bundle):g}"
    if bundle.inputs.text:
        return f"guidance by default {default_guidance(bundle):g}, away from a negative prompt"
    if bundle.null_class is None:
        return "no null class, so no guidance"
    return f"guidance with the null class {bundle.null_class}"
