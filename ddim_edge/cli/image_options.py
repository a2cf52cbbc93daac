"""The options of `run` that say which images to make, and how they become a request once the model is known."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click

from ..arrays import Sample, Shape
from ..bundle.bundle import Bundle
from ..diffusion.noise import NoiseKind
from ..diffusion.samplers import SAMPLERS, SamplerConfig, sampler_config
from ..errors import ConfigError
from ..generation.inversion import request_from_latents
from ..generation.requests.latents_file import Latents
from ..generation.requests.options import LATENT_BATCH_SIZE, Options, request_of
from ..generation.requests.origin import Origin
from ..generation.requests.request import DEFAULT_BATCH_SIZE, Request
from ..images.decode import read_mask, read_picture

DEFAULT_NUM_IMAGES = 16
_FILE = click.Path(path_type=Path)
_GUIDANCE_HELP = "1 is none; for text, neither is less.  [default: 1; for text 7.5, 5 or 8.5]"
_BATCH_HELP = f"How many images step together.  [default: {DEFAULT_BATCH_SIZE}; {LATENT_BATCH_SIZE} for latent models]"


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the command line says of the images; None where it says nothing."""

    num_images: int | None
    labels: str | None
    prompt: tuple[str, ...]
    prompts: Path | None
    negative_prompt: str | None
    long_prompt: bool
    prompt_weights: bool
    height: int | None
    width: int | None
    vae_tiling: bool | None
    num_steps: int | None
    sampler: str | None
    eta: float | None
    seed: int
    guidance_scale: float | None
    guidance_rescale: float
    guidance_interval: tuple[float, float] | None
    strength: float | None
    batch_size: int | None
    noise: NoiseKind
    sampler_config: tuple[str, ...]
    scheduler: Path | None
    control_scale: tuple[float, ...]
    no_safety_checker: bool

    def request(self, bundle: Bundle, origin: Origin | None, latents: Latents | None) -> Request:
        """The request for this model; ConfigError where the choices and the model do not go together."""
        options: dict[str, Any] = {
            "num_images": self.num_images,
            "labels": split(self.labels),
            "num_steps": self.num_steps,
            "eta": self.eta,
            "sampler": self._sampler(bundle),
            "strength": self.strength,
            "guidance_scale": self.guidance_scale,
            "batch_size": self.batch_size,
            "negative_prompt": self.negative_prompt,
            "height": self.height,
            "width": self.width,
            "vae_tiling": self.vae_tiling,
        }
        given = {name: value for name, value in options.items() if value is not None}
        given |= {name: getattr(self, name) for name in _WITH_DEFAULT}
        if self.control_scale:
            given["control_scale"] = self.control_scale
        if self.no_safety_checker:
            given["safety_checker"] = False
        if self.prompt or self.prompts:
            given["prompt"] = read_prompts(self.prompt, self.prompts)
        if latents is not None:
            return request_from_latents(bundle, latents, **given)
        usual = len(given.get("labels") or given.get("prompt") or ())
        if not bundle.inputs.text:
            given.setdefault("num_images", usual or DEFAULT_NUM_IMAGES)
        return request_of(bundle, cast(Options, {"origin": origin, **given}))

    def _sampler(self, bundle: Bundle) -> SamplerConfig | str | None:
        """A config where the options change one, else the name, else None."""
        if not self.scheduler and not self.sampler_config:
            return self.sampler
        config = sampler_config(self.scheduler or bundle.scheduler_keys, self.sampler)
        return config.replace(**_key_values(self.sampler_config))


_WITH_DEFAULT = ("seed", "guidance_rescale", "guidance_interval", "noise", "long_prompt", "prompt_weights")


def split(labels: str | None) -> list[str] | None:
    """The labels between the commas; None where nothing was said."""
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


def _interval(_context: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[float, float] | None:
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


OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option("--num-images", "-n", type=int, help=f"How many.  [default: one a label, or {DEFAULT_NUM_IMAGES}]"),
    click.option("--labels", "-l", metavar="NAME,…", help="Class names, numbers or none, in turn.  [default: all]"),
    click.option("--prompt", multiple=True, metavar="TEXT", help="What to show, for models of text; repeatable."),
    click.option("--prompts", type=_FILE, help="Prompts of a file, or - for standard input: an image a line."),
    click.option("--negative-prompt", metavar="TEXT", help="What to guide away from."),
    click.option("--long-prompt", is_flag=True, help="Read prompts beyond 75 tokens."),
    click.option("--prompt-weights", is_flag=True, help="Read (word:1.3) and [word] as weights."),
    click.option("--height", type=int, help="Of the images, in pixels.  [default: the model's]"),
    click.option("--width", type=int, help="Likewise."),
    click.option(
        "--vae-tiling/--no-vae-tiling", default=None, help="Decode in tiles: less memory.  [default: above 1024x1024]"
    ),
    click.option("--num-steps", "--steps", "-s", type=int, help="How many.  [default: its own sampler's, or 50]"),
    click.option("--sampler", metavar="NAME", help=f"{', '.join(SAMPLERS)}; see below.  [default: the model's]"),
    click.option("--eta", type=float, help="0: deterministic DDIM. 1: fresh noise at every step, as in DDPM."),
    click.option("--seed", type=int, default=0, help="Image k is the image of seed SEED + k, whatever runs beside it."),
    click.option("--guidance-scale", "-g", type=float, help=_GUIDANCE_HELP),
    click.option("--guidance-rescale", type=float, default=0.0, help="Take back its contrast: 0 nothing, 1 all."),
    click.option(
        "--guidance-interval", metavar="LOW,HIGH", callback=_interval, help="Guide between two levels σ only."
    ),
    click.option("--init-image", type=_FILE, help="A picture to change, fitted to the model."),
    click.option("--strength", type=float, help="How much of it to change.  [default: 0.8, with a mask 1]"),
    click.option("--mask", type=_FILE, help="A picture of the model's size: only its white part is made new."),
    click.option("--latents", type=_FILE, help="What `ddim-edge encode` wrote, in the place of noise."),
    click.option(
        "--control-image", multiple=True, type=_FILE, help="A picture for a ControlNet; repeatable, in order."
    ),
    click.option(
        "--control-scale", multiple=True, type=float, help="How strongly each acts; repeatable.  [default: 1]"
    ),
    click.option("--no-safety-checker", is_flag=True, help="Do not show the images to the model's safety checker."),
    click.option("--sampler-config", "-c", multiple=True, metavar="KEY=VALUE", help="A sampler's option; repeatable."),
    click.option("--scheduler", type=_FILE, help="A scheduler_config.json in place of the model's."),
    click.option("--batch-size", "-b", type=int, help=_BATCH_HELP),
    click.option("--noise", type=click.Choice(["torch", "numpy"]), default="torch", help="Whose normals a seed draws."),
)


def image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command all of ``OPTIONS``."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def samplers_help() -> str:
    """One line a sampler."""
    return "\n".join(f"  {name:9} {config.summary}" for name, config in SAMPLERS.items())
