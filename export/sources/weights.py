"""Loads weights: local files only, safetensors unless pickle is allowed, none missing, as float32."""

from pathlib import Path
from typing import Any

import torch

from ddim_edge.config import read_json
from ddim_edge.errors import ConfigError, ExportError, shown
from ddim_edge.files import open_regular

from ..errors import error_summary
from ..quiet import quiet
from .checkpoint import check_checkpoint_has, load_from_checkpoint, make_network
from .diffusers_folder import Component

_TRANSFORMERS = ("CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel", "CLIPVisionModelWithProjection")


def check_config(component: Component) -> None:
    """ConfigError where no network can be made from a component's config. Its weights are not made."""
    with quiet():
        network_class = _class_named(component.kind)
        try:
            with torch.device("meta"):
                make_network(component, network_class)
        except Exception as error:  # whatever diffusers or transformers raise on a value that makes no sense
            raise ConfigError(
                f"{component.folder / 'config.json'} does not describe a {component.kind}: {error_summary(error)}"
            ) from None


def check_weights(component: Component, *, allow_pickle: bool) -> None:
    """ConfigError where a component has no weights that can be read safely."""
    if component.checkpoint is not None:
        check_checkpoint_has(component)
        return
    safe, pickled = (list(component.folder.glob(f"*.{kind}")) for kind in ("safetensors", "bin"))
    for file in safe or pickled:
        _check_regular(file)
    for index in component.folder.glob("*.index.json"):
        read_json(index)
    if safe:
        return
    if not pickled:
        raise ConfigError(f"{component.folder} has no weights: neither in safetensors nor pickled. Get them, too")
    if not allow_pickle:
        raise ConfigError(
            f"{component.folder} has no weights in safetensors, only pickled ones: save them again with "
            "save_pretrained(..., safe_serialization=True), or read them with --allow-pickle"
        )
    for file in weight_files(component):
        _check_pickle(file)


def _check_regular(file: Path) -> None:
    """ConfigError for weights that are not a regular file: a named pipe would be waited for without end."""
    try:
        open_regular(file).close()
    except OSError as error:
        raise ConfigError(f"cannot read the weights {file}: {error.strerror}") from None


def _check_pickle(file: Path) -> None:
    """ConfigError for a pickle that has more than weights: such a pickle can run code when it is read.

    diffusers and transformers read weights only, too, but by a default of theirs that can change.
    """
    with quiet():
        try:
            torch.load(file, map_location="meta", weights_only=True)
        except Exception:  # whatever the bytes of a stranger lead to
            raise ConfigError(
                f"{file} is damaged, or has more than weights and could run code: get the weights in safetensors"
            ) from None


def weight_files(component: Component) -> list[Path]:
    """The files that ``load_network`` reads weights from."""
    if component.checkpoint is not None:
        return [component.checkpoint]
    variant = _variant(component.folder)
    names = component.folder.glob(f"*.{variant}*.safetensors" if variant else "*.safetensors")
    safe = sorted(path for path in names if variant or path.name.count(".") == 1)
    return safe or sorted(component.folder.glob("*.bin"))


def load_network(component: Component) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """Load a network. Returns it, and the names of weights in the files that it does not have.

    ExportError where the weights cannot be read or do not match the config.
    """
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
        except Exception as error:  # that of a weights file in any format, or of any of three libraries
            raise ExportError(f"diffusers cannot load {component.folder}: {error_summary(error)}") from error
    # diffusers only logs missing weights, and leaves them random.
    if info["missing_keys"]:
        count, name = len(info["missing_keys"]), min(info["missing_keys"])
        raise ExportError(f"{component.folder} lacks {count} of the network's weights, {name} among them")
    return module.float(), tuple(sorted(map(str, info["unexpected_keys"])))


def extra_weights_error(component: Component, names: tuple[str, ...]) -> ConfigError:
    """The error for weights that the network does not have, with the first names."""
    first = ", ".join(names[:2])
    return ConfigError(
        f"{component.checkpoint or component.folder} has {len(names)} weights that a {component.kind} does not have: "
        f"{shown(first)} among them. The images would lack what they are for. An IP-Adapter is given as a file of its "
        "own (--ip-adapter); with --ignore-extra-weights the network is exported without them"
    )


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
