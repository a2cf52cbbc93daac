"""A single-file checkpoint: the weights of all networks of a pipeline under the names of Stability's own code.

It has no configs: those come from a folder in diffusers' layout. Diffusers translates the names; its own
``from_single_file`` leaves weights that are missing random, which is why only the translation is taken from it.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ddim_edge.errors import ConfigError, ExportError

from ..errors import first_error_line
from ..quiet import quiet
from .diffusers_folder import Part

_NETWORKS = {
    "unet": ("model.diffusion_model.",),
    "vae_encoder": ("first_stage_model.", "vae."),
    "vae_decoder": ("first_stage_model.", "vae."),
    "text_encoder": ("cond_stage_model.", "conditioner.embedders.0.transformer."),
    "text_encoder_2": ("conditioner.embedders.1.model.", "conditioner.embedders.0.model."),
}
"""Where a graph's weights are. SDXL's refiner has its second text encoder where the base model has the first."""


def check_file(path: Path) -> None:
    """ConfigError where a file is no checkpoint in safetensors."""
    if path.suffix != ".safetensors":
        raise ConfigError(
            f"{path} is no checkpoint in safetensors; other formats can run code when they are read: save it as "
            "safetensors, or load it with diffusers and save the pipeline to a folder"
        )
    if not _keys(path, _NETWORKS["unet"]):
        raise ConfigError(
            f"{path} has no weights under {_NETWORKS['unet'][0]}: it is no checkpoint of a pipeline; a LoRA is given "
            "with --lora"
        )


def check_part(part: Part) -> None:
    """ConfigError where a checkpoint has no weights of a part."""
    assert part.checkpoint is not None
    if not _keys(part.checkpoint, _NETWORKS[part.name]):
        raise ConfigError(
            f"{part.checkpoint} has no weights of a {part.name}, of which {part.folder} has a config; leave it out by "
            "naming the others with --components"
        )


def stated_licence(path: Path) -> str | None:
    """The licence that a checkpoint states, as ModelSpec has it."""
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("modelspec.license")


def standard_configs(path: Path) -> str:
    """The repository whose configs fit a checkpoint, as far as diffusers can tell by its weights."""
    from diffusers.loaders.single_file_utils import fetch_diffusers_config

    with quiet():
        return str(fetch_diffusers_config(_read(path, ("",)))["pretrained_model_name_or_path"])


def load_from_checkpoint(part: Part, network: Any) -> torch.nn.Module:
    """Load the weights of one network. ExportError where they do not fit the config.

    ``network`` is its class, of diffusers or transformers.
    """
    assert part.checkpoint is not None
    with quiet():
        try:
            module = _make(part, network)
            weights = _translate(part, module, _read(part.checkpoint, _NETWORKS[part.name]))
            missing = module.load_state_dict(weights, strict=False).missing_keys
        except (OSError, ValueError, TypeError, KeyError, IndexError, RuntimeError) as error:
            raise ExportError(f"{part.checkpoint} does not fit {part.folder}: {first_error_line(error)}") from error
    if missing:
        raise ExportError(
            f"{part.checkpoint} lacks {len(missing)} of the weights that {part.folder} is for, such as {min(missing)}"
        )
    return module


def _make(part: Part, network: Any) -> torch.nn.Module:
    if hasattr(network, "from_config") and part.name in ("unet", "vae_encoder", "vae_decoder"):
        made = network.from_config(dict(part.config))
    else:
        made = network(network.config_class.from_dict(dict(part.config)))
    assert isinstance(made, torch.nn.Module)
    return made


def _translate(part: Part, module: torch.nn.Module, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights under the names that they have in ``module``."""
    from diffusers.loaders import single_file_utils as diffusers_names

    translated: dict[str, torch.Tensor]
    if part.name == "unet":
        return dict(diffusers_names.convert_ldm_unet_checkpoint(weights, dict(part.config)))
    if part.name.startswith("vae_"):
        return dict(diffusers_names.convert_ldm_vae_checkpoint(weights, dict(part.config)))
    positions = [name for name in weights if name.endswith(".positional_embedding")]
    if positions:
        prefix = positions[0].removesuffix("positional_embedding")
        translated = diffusers_names.convert_open_clip_checkpoint(module, weights, prefix=prefix)
    else:
        translated = diffusers_names.convert_ldm_clip_checkpoint(weights)
    # Since its version 5, CLIPTextModel has no such level any more.
    level = "" if hasattr(module, "text_model") else "text_model."
    return {name.removeprefix(level): value for name, value in translated.items()}


def _keys(path: Path, prefixes: tuple[str, ...]) -> list[str]:
    """The names in a file that begin with the first of ``prefixes`` that any begins with."""
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"cannot read the checkpoint {path}: {error}") from None
    found = ([name for name in names if name.startswith(prefix)] for prefix in prefixes)
    return next(filter(None, found), [])


def _read(path: Path, prefixes: tuple[str, ...]) -> dict[str, torch.Tensor]:
    names = _keys(path, prefixes)
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in names}
