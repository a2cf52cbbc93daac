"""The generation options of pictures: those that go in, and what is done to those that come out."""

from .option import CommandLine, Option

PICTURE_OPTIONS = (
    Option(
        "images",
        "Picture that the model takes beside the sample: a file, or float32 (N, C, H, W) in [-1, 1].",
        "none; models with channels for one need it",
    ),
    Option(
        "noise_level",
        "Noise that is added to the small picture of an upscaler, 0 for none.",
        "20 for models that take it",
        CommandLine(("--noise-level",), int),
        http="noise_level",
    ),
    Option("origin", "An Origin: an image to change, a mask for it, latents instead of noise.", "none"),
    Option(
        "strength",
        "How much of the initial image to change, up to 1.",
        "0.8; with a mask 1",
        CommandLine(("--strength",), float),
        http="strength",
    ),
    Option(
        "control_images",
        "Image for each ControlNet, in their order: a file, or float32 (N, C, H, W) in [0, 1].",
        "none",
    ),
    Option(
        "control_scale",
        "Strength of each ControlNet (diffusers: controlnet_conditioning_scale).",
        "1",
        CommandLine(("--control-scale",), float, repeatable=True),
        http="control_scale",
    ),
    Option(
        "ip_adapter_images",
        "Image for each IP-Adapter, in their order: a file, or uint8 (H, W, 3).",
        "none; the model is then the one without adapters",
    ),
    Option(
        "ip_adapter_scale",
        "How much the image of each IP-Adapter counts (diffusers: set_ip_adapter_scale).",
        "1",
        CommandLine(("--ip-adapter-scale",), float, repeatable=True),
        http="ip_adapter_scale",
    ),
    Option(
        "safety_checker",
        "Run the model's safety checker; without it there is a warning.",
        "on",
        CommandLine(("--no-safety-checker",), bool, help="Do not run the model's safety checker."),
    ),
)
"""In the order of the help texts."""
