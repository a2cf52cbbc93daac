"""The generation options of models that read text."""

from .option import CommandLine, Option

TEXT_OPTIONS = (
    Option(
        "prompt",
        "Text that the image shows; several are used in turn.",
        "none; text-to-image models need one",
        CommandLine(("--prompt",), metavar="TEXT", repeatable=True),
        http="prompt",
    ),
    Option(
        "negative_prompt",
        "Text that the image should not show.",
        "the model's own, else the empty prompt",
        CommandLine(("--negative-prompt",), metavar="TEXT"),
        http="negative_prompt",
    ),
    Option(
        "long_prompt",
        "Read prompts of more than 75 tokens, in chunks; otherwise the end is cut off.",
        "off",
        CommandLine(("--long-prompt",), bool),
        http="long_prompt",
    ),
    Option(
        "prompt_weights",
        "Read (word:1.3) and [word] in prompts as weights; with long prompts, BREAK begins a new chunk.",
        "off",
        CommandLine(("--prompt-weights",), bool),
        http="prompt_weights",
    ),
    Option(
        "clip_skip",
        "Leave out so many of the text encoder's last layers (diffusers' clip_skip; A1111's less one).",
        "0",
        CommandLine(("--clip-skip",), int),
        http="clip_skip",
    ),
)
"""In the order of the help texts."""
