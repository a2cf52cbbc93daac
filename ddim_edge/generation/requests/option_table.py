"""The generation options, each declared once: name, type, help, default, and where it is available.

``Pipeline.generate``'s documentation, the options of ``ddim-edge run`` and the fields of the HTTP API follow from this
table, or a test compares them with it. The default of a recipe is that of the field in ``Request``.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from .option import CommandLine, Option
from .option_types import Options as Options
from .picture_options import PICTURE_OPTIONS
from .text_options import TEXT_OPTIONS

Method = TypeVar("Method", bound=Callable[..., Any])


OPTIONS = (
    Option(
        "num_images",
        "Number of images.",
        "one for each label or prompt, else 1",
        CommandLine(
            ("--num-images", "-n"),
            int,
            default="one for each label or prompt, else 16; 1 with --init-image and with --output -",
        ),
        http="n",
    ),
    Option(
        "labels",
        "Class names or numbers, used in turn; none is the null class.",
        "all classes",
        CommandLine(("--labels", "-l"), metavar="NAME,…"),
        http="labels",
    ),
    *TEXT_OPTIONS,
    Option("height", "Image height in pixels.", "the model's", CommandLine(("--height",), int)),
    Option("width", "Image width in pixels.", "the model's", CommandLine(("--width",), int)),
    Option(
        "shape",
        "Shape of one sample of a model that makes arrays, where its network leaves axes free.",
        "the model's",
        CommandLine(("--shape",), metavar="N,…"),
    ),
    Option(
        "vae_tiling",
        "Decode and encode in overlapping tiles: less memory, slightly different pixels.",
        "above 1024x1024 pixels",
        CommandLine(("--vae-tiling/--no-vae-tiling",), bool),
    ),
    Option(
        "num_steps",
        "Number of denoising steps.",
        "the model's own; for another sampler 50, lcm 4",
        CommandLine(("--num-steps", "--steps", "-s"), int),
        http="num_inference_steps",
    ),
    Option(
        "sampler",
        "Sampler: its name, or a config.",
        "the model's",
        CommandLine(("--sampler",), metavar="NAME", help="Sampler, see the list below."),
        http="sampler",
    ),
    Option(
        "eta",
        "Noise of DDIM's steps: 0 is deterministic, 1 is DDPM. Selects ddim if the model's sampler has no eta.",
        "the scheduler file's, else 0",
        CommandLine(("--eta",), float),
        http="eta",
    ),
    Option(
        "seed",
        "Seed. Image k is the image of seed + k, whatever is made with it.",
        "0",
        CommandLine(
            ("--seed",),
            int,
            "NUMBER|random",
            help="Seed, or random for a new one. Image k is the image of seed + k, whatever is made with it.",
        ),
        http="seed",
    ),
    Option(
        "guidance_scale",
        "Classifier-free guidance scale; 1 is off, and so is less than 1 for text.",
        "the model's own, else 1; for text 7.5, SDXL 5, built-in guidance 8.5",
        CommandLine(("--guidance-scale", "-g"), float),
        http="guidance_scale",
    ),
    Option(
        "guidance_mode",
        "cfg, or cfg++: guidance of x_0 alone, at a scale from 0 to 1; its default scale is 0.6.",
        "cfg",
        CommandLine(("--guidance-mode",), choices=("cfg", "cfg++")),
        http="guidance_mode",
    ),
    Option(
        "guidance_rescale",
        "Share of the contrast added by guidance that is removed again, 0 to 1.",
        "0",
        CommandLine(("--guidance-rescale",), float),
    ),
    Option(
        "guidance_interval",
        "Guide only between two noise levels σ, for instance 0.2 and 3.",
        "at all levels",
        CommandLine(("--guidance-interval",), metavar="LOW,HIGH"),
    ),
    Option(
        "image_guidance_scale",
        "Guidance scale of the picture that the model takes beside the sample, at least 1.",
        "1.5 for models that have one",
        CommandLine(("--image-guidance-scale",), float),
        http="image_guidance_scale",
    ),
    Option(
        "preset",
        "One of the model's presets: a set of options that `ddim-edge tune` measured. Options that are given win.",
        "none",
        CommandLine(("--preset",), metavar="NAME"),
        http="preset",
    ),
    Option(
        "cache",
        "Fewer network calls, for slightly other images: forecast (any model), or deep (exported with --step-cache); "
        "every N-th call is whole.",
        "off; N is 3",
        CommandLine(("--cache",), metavar="off|forecast[:N]|deep[:N]"),
        http="cache",
    ),
    Option(
        "cache_threshold",
        "With a cache: the largest estimated error of cached calls, as a share of the network's output; an image makes "
        "more calls whole to keep it.",
        "none; N alone decides",
        CommandLine(("--cache-threshold",), float),
        http="cache_threshold",
    ),
    Option(
        "conditioning",
        "Arrays for the inputs that the network takes by name: one row an image, or one for all.",
        "none; models with such inputs need it",
    ),
    Option(
        "loras",
        "LoRAs that `ddim-edge lora` added to the model, by name, with their scales.",
        "none",
        CommandLine(
            ("--lora",),
            metavar="NAME[:SCALE]",
            repeatable=True,
            help="LoRA that `ddim-edge lora` added to the model, with its scale, such as style:0.8; repeatable.",
        ),
        http="loras",
    ),
    *PICTURE_OPTIONS,
    Option(
        "batch_size",
        "Number of images that are denoised together.",
        "16; latent models 1",
        CommandLine(("--batch-size", "-b"), int),
    ),
    Option(
        "noise",
        "Generator of the noise: torch (what torch draws from the seed) or numpy.",
        "torch",
        CommandLine(("--noise",), choices=("torch", "numpy")),
    ),
)
"""All options, in the order of the help texts."""


def http_options() -> dict[str, Option]:
    """The options of the HTTP API, by the names of its fields."""
    return {option.http: option for option in OPTIONS if option.http is not None}


def documents_options(method: Method) -> Method:
    """Decorator: replaces ``{options}`` in the docstring of ``method`` by a line for each option."""
    lines = (f"{option.name}: {option.help} Default: {option.default}." for option in OPTIONS)
    method.__doc__ = (method.__doc__ or "").replace("{options}", "\n        ".join(lines))
    return method
