"""Loads weights: local files only, safetensors unless pickle is allowed, none missing, as float32."""

from pathlib import Path
from typing import Any

import torch

from ddim_edge.errors import ConfigError, ExportError

from ..errors import error_summary
from ..quiet import quiet
from .checkpoint import check_checkpoint_has, load_from_checkpoint
from .diffusers_folder import Component

_TRANSFORMERS = ("CLIPTextModel", "CLIPTextModelWithProjection")


def check_weights(component: Component, *, allow_pickle: bool) -> None:
    """ConfigError where a component has no weights that can be read safely."""
    if component.checkpoint is not None:
        check_checkpoint_has(component)
        return
    if any(component.folder.glob("*.safetensors")):
        return
    pickled = any(component.folder.glob("*.bin"))
    if not pickled:
        raise ConfigError(f"{component.folder} has no weights: neither in safetensors nor pickled")
    if not allow_pickle:
        raise ConfigError(
            f"{component.folder} has no weights in safetensors (other formats can run code when they are read): save "
            "them again with save_pretrained(..., safe_serialization=True), or trust them with --allow-pickle"
        )


def weight_files(component: Component) -> list[Path]:
    """The files that ``load_network`` reads weights from."""
    if component.checkpoint is not None:
        return [component.checkpoint]
    variant = _variant(component.folder)
    names = component.folder.glob(f"*.{variant}*.safetensors" if variant else "*.safetensors")
    safe = sorted(path for path in names if variant or path.name.count(".") == 1)
    return safe or sorted(component.folder.glob("*.bin"))


def load_network(component: Component) -> torch.nn.Module:
    """Load a network. ExportError where the weights do not match the config."""
    if component.checkpoint is not None:
        return load_from_checkpoint(component, _class_named(component.kind))
    safe = any(component.folder.glob("*.safetensors"))
    options: dict[str, Any] = {"variant": _variant(component.folder)} if _variant(component.folder) else {}
    with quiet():
        network_class = _class_named(component.kind)
        try:
            module, info = network_class.from_pretrained(
                component.folder, local_files_only=True, use_safetensors=safe, output_loading_info=True, **options
            )
        except (OSError, ValueError, TypeError, RuntimeError, NotImplementedError) as error:
            raise ExportError(f"diffusers cannot load {component.folder}: {error_summary(error)}") from error
    # diffusers only logs missing weights, and leaves them random.
    if info["missing_keys"]:
        count, name = len(info["missing_keys"]), min(info["missing_keys"])
        raise ExportError(f"{component.folder} lacks {count} of the network's weights, {name} among them")
    network: torch.nn.Module = module.float()
    return network


def _class_named(kind: str) -> Any:
    """The class with this name. Imported here, because diffusers and transformers take seconds to import."""
    if kind in _TRANSFORMERS:
        import transformers

        return getattr(transformers, kind)
    if kind == "StableDiffusionSafetyChecker":
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

        return StableDiffusionSafetyChecker
    import diffusers

    return getattr(diffusers, kind)


def _variant(folder: Path) -> str | None:
    """The variant, such as fp16, of a folder that has no other weights; None otherwise."""
    names = [path.name.split(".") for path in folder.glob("*.safetensors")]
    plain = any(len(components) == 2 for components in names)
    return None if plain or not names else names[0][1].split("-")[0]
