"""Reads a single-file checkpoint: the weights of all networks of a pipeline, with the names of Stability's code.

It has no configs; they come from a folder in diffusers' layout. diffusers translates the names. Its
``from_single_file`` leaves missing weights random, so only its translation is used.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ddim_edge.errors import ConfigError, ExportError

from ..errors import error_summary
from ..quiet import quiet
from .diffusers_folder import Component

_NETWORKS = {
    "unet": ("model.diffusion_model.",),
    "vae_encoder": ("first_stage_model.", "vae."),
    "vae_decoder": ("first_stage_model.", "vae."),
    "text_encoder": ("cond_stage_model.", "conditioner.embedders.0.transformer."),
    "text_encoder_2": ("conditioner.embedders.1.model.", "conditioner.embedders.0.model."),
}
"""Prefixes of each component's weights. SDXL's refiner has its second text encoder where the base has the first."""


def check_file(path: Path) -> None:
    """ConfigError where a file is not a checkpoint in safetensors."""
    if path.suffix != ".safetensors":
        raise ConfigError(
            f"{path} is not a checkpoint in safetensors; other formats can run code when they are read: save it as "
            "safetensors, or load it with diffusers and save the pipeline to a folder"
        )
    if not _keys(path, _NETWORKS["unet"]):
        raise ConfigError(
            f"{path} has no weights under {_NETWORKS['unet'][0]}: it is not a checkpoint of a pipeline; "
            "give a LoRA with --lora"
        )


def check_checkpoint_has(component: Component) -> None:
    """ConfigError where the checkpoint has no weights of a component."""
    assert component.checkpoint is not None
    if not _keys(component.checkpoint, _NETWORKS[component.name]):
        raise ConfigError(
            f"{component.checkpoint} has no weights of a {component.name}, and {component.folder} has a config of it: "
            "leave it out by naming the other components with --components"
        )


def checkpoint_licence(path: Path) -> str | None:
    """The licence in a checkpoint's metadata, under the key of the ModelSpec standard."""
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("modelspec.license")


def default_config_repository(path: Path) -> str:
    """The repository with the configs of a checkpoint, as diffusers guesses it from the weights."""
    from diffusers.loaders.single_file_utils import fetch_diffusers_config

    with quiet():
        return str(fetch_diffusers_config(_read(path, ("",)))["pretrained_model_name_or_path"])


def load_from_checkpoint(component: Component, network: Any) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """Load one network from the checkpoint. Returns it, and the names of its weights there that it does not have.

    ``network`` is its class from diffusers or transformers. ExportError where the weights do not match the config.
    """
    assert component.checkpoint is not None
    with quiet():
        try:
            module = make_network(component, network)
            weights = _read(component.checkpoint, _NETWORKS[component.name])
            translated = _translate(component, module, dict(weights))
            missing, unknown = module.load_state_dict(translated, strict=False)
        except Exception as error:  # diffusers does not say what it raises on names that it does not expect
            raise ExportError(
                f"{component.checkpoint} does not match {component.folder}: {error_summary(error)}"
            ) from error
    if missing:
        raise ExportError(
            f"{component.checkpoint} lacks {len(missing)} of the weights that {component.folder} needs, "
            f"such as {min(missing)}"
        )
    extra = set(unknown) - {name for name, _ in module.named_buffers()}
    return module, tuple(sorted(extra | _lost_in_translation(component, weights, translated)))


def _lost_in_translation(
    component: Component, weights: Mapping[str, torch.Tensor], translated: Mapping[str, torch.Tensor]
) -> set[str]:
    """The weights that diffusers leaves out without a word when it renames those of a UNet or an autoencoder.

    It renames them without a copy. Of text encoders it leaves out what is not part of them, such as a logit scale.
    """
    if component.name.startswith("text_encoder"):
        return set()
    kept = {tensor.data_ptr() for tensor in translated.values()}
    return {name for name, tensor in weights.items() if tensor.numel() and tensor.data_ptr() not in kept}


def make_network(component: Component, network: Any) -> torch.nn.Module:
    """The network of a component's config, with random weights."""
    if hasattr(network, "from_config"):
        made = network.from_config(dict(component.config))
    else:
        made = network(network.config_class.from_dict(dict(component.config)))
    assert isinstance(made, torch.nn.Module)
    return made


def _translate(
    component: Component, module: torch.nn.Module, weights: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Rename the weights to the names that they have in ``module``."""
    from diffusers.loaders import single_file_utils as diffusers_names

    translated: dict[str, torch.Tensor]
    if component.name == "unet":
        return dict(diffusers_names.convert_ldm_unet_checkpoint(weights, dict(component.config)))
    if component.name.startswith("vae_"):
        return dict(diffusers_names.convert_ldm_vae_checkpoint(weights, dict(component.config)))
    positions = [name for name in weights if name.endswith(".positional_embedding")]
    if positions:
        prefix = positions[0].removesuffix("positional_embedding")
        translated = diffusers_names.convert_open_clip_checkpoint(module, weights, prefix=prefix)
    else:
        translated = diffusers_names.convert_ldm_clip_checkpoint(weights)
    # CLIPTextModel has not had this level since transformers 5.
    level = "" if hasattr(module, "text_model") else "text_model."
    return {name.removeprefix(level): value for name, value in translated.items()}


def _keys(path: Path, prefixes: tuple[str, ...]) -> list[str]:
    """The names in a file with the first of ``prefixes`` that any name has."""
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"cannot read the checkpoint {path}: {error}. If it is damaged, get it again") from None
    found = ([name for name in names if name.startswith(prefix)] for prefix in prefixes)
    return next(filter(None, found), [])


def _read(path: Path, prefixes: tuple[str, ...]) -> dict[str, torch.Tensor]:
    names = _keys(path, prefixes)
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in names}
