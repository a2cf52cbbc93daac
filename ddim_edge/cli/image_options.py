"""The options of `run` that say which images to make, and how they become a request once the model is known."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click

from ..arrays import Sample, Shape
from ..bundle.bundle import Bundle
from ..diffusion.samplers import SAMPLERS, SamplerConfig, sampler_config
from ..errors import ConfigError
from ..generation.inversion import request_from_latents
from ..generation.requests.latents_file import Latents
from ..generation.requests.option_table import OPTIONS, CommandLine, Option, Options
from ..generation.requests.options import request_of
from ..generation.requests.origin import Origin
from ..generation.requests.request import Request
from ..images.decode import read_mask, read_picture

DEFAULT_NUM_IMAGES = 16
Decorator = Callable[[Any], Any]
_FILE = click.Path(path_type=Path)


def image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each of the generation options, and those that name files."""
    for option in reversed([*_click_options()]):
        command = option(command)
    return command


def samplers_help() -> str:
    """One line for each sampler."""
    return "\n".join(f"  {name:9} {config.summary}" for name, config in SAMPLERS.items())


def make_request(bundle: Bundle, choices: Mapping[str, Any], origin: Origin | None, latents: Latents | None) -> Request:
    """The request for a model; ConfigError where the options and the model do not go together.

    ``choices``: the values of the command's options, None or empty where one is not given.
    """
    given = {option.name: value for option in OPTIONS if (value := _given(option, choices)) is not None}
    if choices["prompts"]:
        given["prompt"] = read_prompts(choices["prompt"], choices["prompts"])
    sampler = _sampler(bundle, choices)
    if sampler is not None:
        given["sampler"] = sampler
    if latents is not None:
        return request_from_latents(bundle, latents, **given)
    if not bundle.inputs.text:
        given.setdefault("num_images", len(given.get("labels") or given.get("prompt") or ()) or DEFAULT_NUM_IMAGES)
    return request_of(bundle, cast(Options, {"origin": origin, **given}))


def _given(option: Option, choices: Mapping[str, Any]) -> Any:
    """What the command line says of an option; None for nothing."""
    if option.cli is None:
        return None
    value = choices[_parameter(option.cli)]
    if _is_negated(option.cli):
        return False if value else None
    return None if (value is False and "/" not in option.cli.flags[0]) or value == () else value


def _sampler(bundle: Bundle, choices: Mapping[str, Any]) -> SamplerConfig | None:
    """The sampler's config where --scheduler or --sampler-config changes it; None otherwise."""
    if not choices["scheduler"] and not choices["sampler_config"]:
        return None
    config = sampler_config(choices["scheduler"] or bundle.scheduler_keys, choices["sampler"])
    return config.replace(**_key_values(choices["sampler_config"]))


def split(labels: str | None) -> list[str] | None:
    """The labels between the commas; None for None."""
    return None if labels is None else [label for label in labels.split(",") if label.strip()]


def read_prompts(prompts: Sequence[str], path: Path | None) -> list[str]:
    """The prompts of the command line, or of a file or of standard input (``-``), a line each.

    Empty lines count for nothing. ConfigError where there are none, and for a file that cannot be read.
    """
    if path is None:
        return list(prompts)
    if prompts:
        raise ConfigError("--prompt and --prompts exclude each other: give one of them")
    try:
        with click.open_file(str(path), encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as prompts, a line each: {error}") from None
    found = [line for line in lines if line]
    if not found:
        raise ConfigError(f"{path} holds no prompt: write one a line")
    return found


def read_origin(
    init_image: Path | None,
    mask: Path | None,
    latents: Latents | None,
    shape: Shape,
    controls: tuple[Sample, ...] = (),
) -> Origin | None:
    """What the command line gives to start from, fitted to images of ``shape``; None without any."""
    if init_image is None and mask is None and latents is None and not controls:
        return None
    return Origin(
        latents=latents.samples if latents else None,
        image=read_picture(init_image, shape) if init_image else None,
        mask=read_mask(mask, shape) if mask else None,
        controls=controls,
    )


def _interval(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--guidance-interval wants two noise levels, for instance 0.2,3, not {text!r}") from None
    return low, high


def _key_values(pairs: Sequence[str]) -> dict[str, Any]:
    values = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"--sampler-config wants KEY=VALUE, for instance eta=0.5, not {pair!r}")
        try:
            values[key.strip()] = json.loads(text)
        except ValueError:
            values[key.strip()] = text.strip()
    return values


_PARSERS: Mapping[str, Callable[[str | None], Any]] = {"labels": split, "guidance_interval": _interval}

_COMMAND_LINE_ONLY: Mapping[str, Sequence[Decorator]] = {
    "negative_prompt": [
        click.option("--prompts", type=_FILE, help="File with a prompt on each line, or - for standard input."),
    ],
    "strength": [
        click.option(
            "--init-image", type=_FILE, help="Image file to change; it is cropped and scaled to the model's size."
        ),
        click.option("--mask", type=_FILE, help="Image file of the model's size; only its white part is changed."),
        click.option("--latents", type=_FILE, help="File written by `ddim-edge encode`, used instead of noise."),
    ],
    "control_scale": [
        click.option(
            "--control-image", multiple=True, type=_FILE, help="Image file for a ControlNet; repeatable, in order."
        ),
    ],
    "batch_size": [
        click.option(
            "--sampler-config", "-c", multiple=True, metavar="KEY=VALUE", help="Option of the sampler; repeatable."
        ),
        click.option("--scheduler", type=_FILE, help="A scheduler_config.json to use instead of the model's."),
    ],
}
"""Options of the command line alone, each list before the generation option of its name."""


def _click_options() -> Iterator[Decorator]:
    for option in OPTIONS:
        yield from _COMMAND_LINE_ONLY.get(option.name, ())
        if option.cli is not None:
            yield _click_option(option, option.cli)


def _click_option(option: Option, cli: CommandLine) -> Decorator:
    parse = _PARSERS.get(option.name)
    is_flag = cli.kind is bool
    kind = click.Choice(cli.choices) if cli.choices else None if is_flag else cli.kind
    text = cli.help or option.help
    return click.option(
        *cli.flags,
        type=kind,
        is_flag=is_flag,
        default=None if "/" in cli.flags[0] or not is_flag else False,
        multiple=cli.repeatable,
        metavar=cli.metavar,
        callback=(lambda _context, _parameter, value: parse(value)) if parse else None,
        help=text if is_flag and "/" not in cli.flags[0] else f"{text}  [default: {cli.default or option.default}]",
    )


def _parameter(cli: CommandLine) -> str:
    """The name under which click gives the value: that of the first flag."""
    return cli.flags[0].partition("/")[0].removeprefix("--").replace("-", "_")


def _is_negated(cli: CommandLine) -> bool:
    return cli.kind is bool and cli.flags[0].startswith("--no-")
