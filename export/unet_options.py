"""Checks of the options that change the UNet: --lora-slots, --fuse-step, --step-cache. Before anything is traced."""

from ddim_edge.bundle.layout import TRANSFORMER
from ddim_edge.errors import ConfigError

from .config_keys import Config
from .fp32_fallback import Fp32Fallbacks
from .options import Options
from .sources.diffusers_folder import Source


def check_unet_options(source: Source, options: Options, fp32_fallbacks: Fp32Fallbacks) -> None:
    """ConfigError for a UNet that cannot have LoRA slots, a fused step or a step cache, as they are asked for.

    The graph is checked again when it is made, which takes long.
    """
    if options.lora is not None:
        _unet_of(source, "--lora-slots")
        _check_slots(options)
    if options.fuse_step:
        _check_step(source, _unet_of(source, "--fuse-step"))
    if options.step_cache is not None:
        _unet_of(source, "--step-cache")
        _check_step_cache(source, fp32_fallbacks)


def _unet_of(source: Source, option: str) -> Config:
    if TRANSFORMER.name in source.graphs:
        raise ConfigError(f"{option} is for a unet, and this model has a transformer: leave {option} out")
    unet = next((component.config for component in source.components if component.name == "unet"), None)
    if unet is None:
        raise ConfigError(f"{option} is for the unet: add it to --components, or leave {option} out")
    return unet


def _check_slots(options: Options) -> None:
    if options.fuse_step or options.step_cache is not None:
        other = "--fuse-step" if options.fuse_step else "--step-cache"
        raise ConfigError(
            f"--lora-slots: {other} makes a further graph, which would have no slots; leave one of them out"
        )


def _check_step(source: Source, unet: Config) -> None:
    if source.has_controlnet:
        raise ConfigError("--fuse-step: ControlNets read the sample before the unet does; leave one of them out")
    taken, predicted = unet.get("in_channels"), unet.get("out_channels")
    if taken != predicted:
        raise ConfigError(f"--fuse-step: the unet takes {taken} channels and predicts {predicted}; leave it out")


def _check_step_cache(source: Source, fp32_fallbacks: Fp32Fallbacks) -> None:
    if source.has_controlnet:
        raise ConfigError(
            "--step-cache: ControlNets change what a shallow call leaves out, at every step; leave one of them out"
        )
    if "unet" in fp32_fallbacks.fp32_too:
        raise ConfigError(
            "--step-cache: shallow.onnx has no fp32 version to go with the unet's: leave the unet out of --fp32-too, "
            "or use --keep-fp32 unet"
        )
