"""The generation options of ``ddim-edge run``, and the request that they become for a model."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import click

from ..arrays import Sample, Shape
from ..bundle.bundle import Bundle
from ..diffusion.samplers import SAMPLERS, SamplerConfig, sampler_config
from ..diffusion.samplers.table import samplers_with
from ..errors import ConfigError, shown
from ..generation.inversion import request_from_latents
from ..generation.requests.latents_file import Latents
from ..generation.requests.named_arrays import NamedArrays
from ..generation.requests.option import CommandLine, Option
from ..generation.requests.option_table import OPTIONS, Options
from ..generation.requests.options import request_of
from ..generation.requests.origin import Origin
from ..generation.requests.request import Request
from ..images.decode import read_mask, read_picture
from .environment import RepeatableOption
from .file_options import COMMAND_LINE_ONLY, Decorator
from .key_values import key_values
from .prompt_file import read_prompts
from .seed import seed_of

DEFAULT_NUM_IMAGES = 16


def image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the generation options to a command, and the options that name files."""
    for option in reversed([*_click_options()]):
        command = option(command)
    return command


def samplers_help() -> str:
    """One line per sampler: its name and what it is for."""
    return "\n".join(f"  {name:10} {config.summary}" for name, config in SAMPLERS.items())


def make_request(
    bundle: Bundle,
    choices: Mapping[str, Any],
    origin: Origin | None,
    latents: Latents | None,
    usual_count: int = DEFAULT_NUM_IMAGES,
    named: NamedArrays | None = None,
) -> Request:
    """Return the request for a model. Raises ConfigError if the options and the model do not fit together.

    ``choices``: the values of the command's options; None or empty for an option that is not given.
    ``usual_count``: the number of images where neither it, labels nor prompts are given. ``named``: the arrays of
    --conditioning.
    """
    given = {**given_options(bundle, choices), "conditioning": named}
    if latents is not None:
        return request_from_latents(bundle, latents, **given)
    if not bundle.inputs.text:
        given.setdefault("num_images", len(given.get("labels") or given.get("prompt") or ()) or usual_count)
    return request_of(bundle, cast(Options, {"origin": origin, **given}))


def given_options(bundle: Bundle, choices: Mapping[str, Any]) -> dict[str, Any]:
    """The generation options on the command line that are given, as ``Pipeline.request`` takes them."""
    given = {option.name: value for option in OPTIONS if (value := _given(option, choices)) is not None}
    if choices["prompts"]:
        given["prompt"] = read_prompts(choices["prompt"], choices["prompts"])
    sampler = _sampler(bundle, choices)
    return given if sampler is None else {**given, "sampler": sampler}


def _given(option: Option, choices: Mapping[str, Any]) -> Any:
    """The value of an option on the command line; None if it is not given."""
    if option.cli is None:
        return None
    value = choices[_parameter(option.cli)]
    if _is_negated(option.cli):
        return False if value else None
    return None if (value is False and "/" not in option.cli.flags[0]) or value == () else value


def _sampler(bundle: Bundle, choices: Mapping[str, Any]) -> SamplerConfig | None:
    """The sampler's config with --scheduler and --sampler-config applied; None without either."""
    if not choices["scheduler"] and not choices["sampler_config"]:
        return None
    if choices["scheduler"] or choices["sampler"]:
        config = sampler_config(choices["scheduler"] or bundle.scheduler_keys, choices["sampler"])
    else:
        config = bundle.own_sampler
    options = key_values("--sampler-config", choices["sampler_config"], "use_karras_sigmas=true")
    for name in options.keys() - {field.name for field in dataclasses.fields(config)}:
        if takers := samplers_with(name, config.family):
            whose = f"is an option of {' and '.join(takers)}, and the sampler is {config.name}"
            raise ConfigError(f"--sampler-config {name} {whose}: add --sampler {takers[0]}, or leave it out")
    return config.replace(**options)


def split(labels: str | None) -> list[str] | None:
    """Split a list at its commas; None for None."""
    return None if labels is None else [label for label in labels.split(",") if label.strip()]


def read_origin(
    init_image: Path | None,
    mask: Path | None,
    latents: Latents | None,
    shape: Shape | None,
    controls: tuple[Sample, ...] = (),
    ip_adapter_images: tuple[Sample, ...] = (),
    picture: Sample | None = None,
) -> Origin | None:
    """Return the image, mask, latents and further images to start from, fitted to ``shape``; None without any.

    ``shape``: (C, H, W) of the model's images; None for one that makes arrays, where there is no image and no mask.
    """
    if all(given is None for given in (init_image, mask, latents, picture)) and not (controls or ip_adapter_images):
        return None
    return Origin(
        latents=latents.samples if latents else None,
        image=read_picture(init_image, shape) if init_image and shape else None,
        mask=read_mask(mask, shape) if mask and shape else None,
        controls=controls,
        ip_adapter_images=ip_adapter_images,
        picture=picture,
    )


def _interval(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"--guidance-interval must be two noise levels, for instance 0.2,3, not {shown(text)}"
        ) from None
    return low, high


def _sides(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--shape must be whole numbers, for instance 32,2, not {shown(text)}") from None


_PARSERS: Mapping[str, Callable[[str | None], Any]] = {
    "labels": split,
    "guidance_interval": _interval,
    "shape": _sides,
    "seed": seed_of,
}


def _click_options() -> Iterator[Decorator]:
    for option in OPTIONS:
        yield from COMMAND_LINE_ONLY.get(option.name, ())
        if option.cli is not None:
            yield _click_option(option, option.cli)


def _click_option(option: Option, cli: CommandLine) -> Decorator:
    parse = _PARSERS.get(option.name)
    is_flag = cli.kind is bool
    kind = click.Choice(cli.choices) if cli.choices else str if parse else cli.kind
    text = cli.help or option.help
    return click.option(
        *cli.flags,
        type=None if is_flag else kind,
        is_flag=is_flag,
        default=None if "/" in cli.flags[0] or not is_flag else False,
        cls=RepeatableOption if cli.repeatable else click.Option,
        metavar=cli.metavar,
        callback=(lambda _context, _parameter, value: parse(value)) if parse else None,
        help=text if is_flag and "/" not in cli.flags[0] else f"{text}  [default: {cli.default or option.default}]",
    )


def _parameter(cli: CommandLine) -> str:
    """The name of click's parameter: the first flag without its dashes."""
    return cli.flags[0].partition("/")[0].removeprefix("--").replace("-", "_")


def _is_negated(cli: CommandLine) -> bool:
    return cli.kind is bool and cli.flags[0].startswith("--no-")
