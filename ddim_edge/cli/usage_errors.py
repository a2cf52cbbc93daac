"""What to type instead: what is added to click's messages of wrong command lines."""

import click
from click.core import ParameterSource

from ..generation.requests.other_names import OTHER_NAMES

_OTHER_OPTIONS = {
    **OTHER_NAMES,
    "cfg": "guidance_scale",
    "device": "provider",
    "dtype": "precision",
    "init_image": "init_image",
    "label": "labels",
    "latents": "latents",
    "mask_image": "mask",
    "negative": "negative_prompt",
    "out": "output",
    "size": "height",
}
"""The option's parameter for each name of other programs that run's options do not have."""

_PLAIN = {
    "a valid integer range": "a whole number",
    "a valid float range": "a number",
    "a valid integer": "a whole number",
    "a valid float": "a number",
}


def usage_text(error: click.ClickException) -> str:
    """The message of one of click's errors, with what to type instead."""
    text = error.format_message()
    for theirs, ours in _PLAIN.items():
        text = text.replace(theirs, ours)
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return text
    if isinstance(error, click.NoSuchOption):
        return _unknown_option(error.option_name, text, context)
    if text.startswith("No such command") and isinstance(context.command, click.Group):
        return f"{text} The commands are {', '.join(context.command.list_commands(context))}."
    if text.startswith("Got unexpected extra argument"):
        return f"{text}: expected {_usage(context)}. A text with blanks stands in quotes, and labels between commas"
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        return f"{text}{_where_set(error, context)}"
    return text


def _unknown_option(name: str, text: str, context: click.Context) -> str:
    flags = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    plain = name.lstrip("-").replace("-", "_")
    here = _OTHER_OPTIONS.get(plain)
    if here in flags:
        return f"No such option {name!r}: it is {flags[here]} here"
    if plain == "model" and "MODEL" in _usage(context):
        return f"No such option {name!r}: MODEL is an argument, {_usage(context)}"
    return f"{text} `{context.command_path} --help` lists them"


def _usage(context: click.Context) -> str:
    return " ".join([context.command_path, *context.command.collect_usage_pieces(context)])


def _where_set(error: click.BadParameter, context: click.Context) -> str:
    """Where a wrong value stands that is not on the command line."""
    parameter = error.param
    if parameter is None or parameter.name is None:
        return ""
    source = context.get_parameter_source(parameter.name)
    if source is ParameterSource.DEFAULT_MAP:
        return f" It is {parameter.name.replace('_', '-')} in ddim-edge.toml"
    if source is ParameterSource.ENVIRONMENT:
        own = parameter.envvar if isinstance(parameter.envvar, str) else None
        return f" It is the environment variable {own or f'{context.auto_envvar_prefix}_{parameter.name}'.upper()}"
    return ""
