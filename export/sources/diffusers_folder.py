"""Reads the configs of a folder that diffusers saved, and selects the components to export. Reads no weights."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ddim_edge.bundle.layout import CONFIG, DENOISERS, IMAGE_ENCODER, INDEX, denoiser_in
from ddim_edge.config import read_json
from ddim_edge.errors import ConfigError, choose_from, shown

from ..config_keys import Config, null_class
from .config_schema import read_config
from .ip_adapter import IpAdapter
from .pictures import has_baked_prompt
from .pipeline_class import check_pipeline_class
from .textual_inversion import TextualInversion

_DEFAULT_INDEX = {"_class_name": "DDIMPipeline"}
_GRAPHS = {
    **{denoiser.name: (denoiser.name,) for denoiser in DENOISERS},
    "vae": ("vae_encoder", "vae_decoder"),
    "vqvae": ("vae_encoder", "vae_decoder"),
    "text_encoder": ("text_encoder",),
    "text_encoder_2": ("text_encoder_2",),
    "text_encoder_3": ("text_encoder_3",),
    "controlnet": ("controlnet",),
    "safety_checker": ("safety_checker",),
}
"""A pipeline's networks, and the components of a bundle that they are exported to."""
CHECKPOINT_GRAPHS = ("unet", "vae_encoder", "vae_decoder", "text_encoder", "text_encoder_2")
"""The components whose weights are in a single-file checkpoint."""
_DIT = "DiTTransformer2DModel"
_COPIED = ("tokenizer", "tokenizer_2", "tokenizer_3", "feature_extractor", "low_res_scheduler")
_LEFT_OUT = ("depth_estimator", "watermarker")
"""Of depth2img, whose depth map is given instead, and of upscalers."""
_CLASSES = {
    "unet": ("UNet2DModel", "UNet2DConditionModel"),
    "transformer": (_DIT, "SD3Transformer2DModel", "PixArtTransformer2DModel"),
    "vae_encoder": ("AutoencoderKL", "AutoencoderTiny", "VQModel"),
    "vae_decoder": ("AutoencoderKL", "AutoencoderTiny", "VQModel"),
    "text_encoder": ("CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel"),
    "text_encoder_2": ("CLIPTextModel", "CLIPTextModelWithProjection"),
    "text_encoder_3": ("T5EncoderModel",),
    "controlnet": ("ControlNetModel",),
    "safety_checker": ("StableDiffusionSafetyChecker",),
    "image_encoder": ("CLIPVisionModelWithProjection",),
}


@dataclass(frozen=True, kw_only=True)
class Component:
    """One component to export: its name in the bundle, and the folder with its config.json and weights."""

    name: str
    folder: Path
    config: Config
    kind: str
    """The name of the network's class."""
    checkpoint: Path | None = None
    """A checkpoint with the weights of the whole pipeline; ``folder`` has only the config then."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source: its components to export, and the model_index.json for the bundle."""

    folder: Path
    index: Mapping[str, Any]
    components: tuple[Component, ...]
    graphs: tuple[str, ...]
    """The names of all components that could be exported, wanted or not."""
    copied: tuple[str, ...] = ()
    """Subfolders that are copied."""
    autoencoder: Config | None = None
    """The autoencoder's config, whether it is exported or not."""
    baked_prompt: Component | None = None
    """The text encoder whose empty prompt becomes a part of the UNet; None where prompts are given at run time."""
    textual_inversions: tuple[TextualInversion, ...] = ()
    ip_adapters: tuple[IpAdapter, ...] = ()
    image_encoder: Config = field(default_factory=dict)
    """The config of the encoder that the adapters share; empty without adapters."""

    @property
    def has_controlnet(self) -> bool:
        """Whether the UNet gets inputs for the residuals of ControlNets."""
        return any(component.kind == "ControlNetModel" for component in self.components)


def open_source(
    folder: Path, wanted: Collection[str] = (), vae: Path | None = None, checkpoint: Path | None = None
) -> Source:
    """Read a UNet2DModel folder or a pipeline folder. ``wanted`` are the components to export, all if empty.

    ``vae`` is a folder with another autoencoder, ``checkpoint`` a file with the weights. ConfigError where the folder
    is something else, a PipelineWarning for a class of pipeline that is unknown.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}: give a folder that diffusers' save_pretrained wrote")
    if not (folder / INDEX).exists():
        if not (folder / CONFIG).exists():
            raise ConfigError(
                f"{folder} has neither config.json (a UNet2DModel) nor model_index.json (a pipeline): "
                "give a folder that diffusers' save_pretrained wrote"
            )
        return _bare_network(folder)
    source = _pipeline(folder, wanted)
    if checkpoint is not None:
        source = _with_weights_from(source, checkpoint, wanted)
    return source if vae is None else _with_vae(source, vae)


def _bare_network(folder: Path) -> Source:
    config = read_config(folder)
    name = config.get("_class_name")
    if name != "UNet2DModel":
        raise ConfigError(f"{folder} has a {name}; a network outside a pipeline must be a UNet2DModel")
    component = Component(name="unet", folder=folder, config=config, kind="UNet2DModel")
    return Source(folder=folder, index=_DEFAULT_INDEX, components=(component,), graphs=("unet",))


def _pipeline(folder: Path, wanted: Collection[str]) -> Source:
    index = {key: value for key, value in read_json(folder / INDEX).items() if key != "_name_or_path"}
    present = [
        key
        for key, value in index.items()
        if not key.startswith("_") and isinstance(value, list) and len(value) == 2 and any(value)
    ]
    baked = has_baked_prompt(index)
    graphs = _graphs(folder, present)
    encoder = graphs.pop("text_encoder", None) if baked else None
    for name in wanted:
        if name not in graphs:
            raise ConfigError(choose_from("component", name, graphs))
    check_pipeline_class(index.get("_class_name"))
    if not wanted:
        _refuse_unknown(folder, index, present)
    sources = {name: source for name, source in graphs.items() if name in wanted or not wanted}
    copied = tuple(name for name in _COPIED if name in present and not (baked and name == "tokenizer"))
    kept = {"scheduler", *copied, *(source.name for source in sources.values())}
    components = tuple(read_component(name, source) for name, source in sources.items())
    named = {key: [None, None] if key in present and key not in kept else value for key, value in index.items()}
    return Source(
        folder=folder,
        index=named | _null_class(components),
        components=components,
        graphs=tuple(graphs),
        copied=tuple(name for name in copied if (folder / name).is_dir()),
        autoencoder=_autoencoder(graphs),
        baked_prompt=None if encoder is None else read_component("text_encoder", encoder),
    )


def _null_class(components: Collection[Component]) -> dict[str, int]:
    """The key of model_index.json for DiT's null class, which diffusers' pipeline knows without one."""
    kinds = {part.kind: part.config for part in components}
    return {"null_class": null_class(kinds[_DIT])} if _DIT in kinds else {}


def _autoencoder(graphs: Mapping[str, Path]) -> Config | None:
    """The config of the autoencoder, exported or not. None without one: a cache can lack what was not wanted."""
    path = graphs["vae_decoder"] / "config.json" if "vae_decoder" in graphs else None
    return read_config(path.parent) if path is not None and path.is_file() else None


def _graphs(folder: Path, present: Collection[str]) -> dict[str, Path]:
    """The components that a pipeline can be exported to, with their source folders."""
    graphs = {name: folder / key for key, names in _GRAPHS.items() if key in present for name in names}
    if "controlnet" in graphs:  # several ControlNets are in controlnet, controlnet_1, …
        graphs |= {path.name: path for path in sorted(folder.glob("controlnet_[0-9]*")) if path.is_dir()}
    return graphs


def _refuse_unknown(folder: Path, index: Mapping[str, Any], present: Collection[str]) -> None:
    known = {*_GRAPHS, *_COPIED, *_LEFT_OUT, "scheduler", IMAGE_ENCODER.name}  # which is for adapters alone
    for name in present:
        if name not in known:
            raise ConfigError(
                f"{folder} has the component {shown(name)}, a {shown(index[name][1])}, which is not supported; leave "
                f"it out by naming the others with --components"
            )
    if not any(denoiser.name in present for denoiser in DENOISERS):
        is_bundle = denoiser_in(folder) is not None
        advice = f"`ddim-edge run {folder}` runs it as it is" if is_bundle else "give that of a whole pipeline"
        raise ConfigError(f"{folder} has no unet and no transformer: nothing can be sampled; {advice}")


def read_component(name: str, folder: Path) -> Component:
    """A component in ``folder``. ConfigError for a network of another class."""
    config = read_config(folder)
    kind = str(config.get("_class_name") or next(iter(config.get("architectures") or ()), None))
    valid = _CLASSES["controlnet" if name.startswith("controlnet") else name]
    if kind not in valid:
        raise ConfigError(f"{folder} has a {kind}; supported there: {', '.join(valid)}")
    return Component(name=name, folder=folder, config=config, kind=kind)


def _with_vae(source: Source, vae: Path) -> Source:
    """The same source with another autoencoder."""
    if not any(component.name.startswith("vae_") for component in source.components):
        raise ConfigError("--vae: no autoencoder is among the components to export, so none can be replaced")
    components = (
        read_component(component.name, vae) if component.name.startswith("vae_") else component
        for component in source.components
    )
    key = "vqvae" if source.index.get("vqvae") else "vae"
    replaced = tuple(components)
    new = next(component for component in replaced if component.name.startswith("vae_"))
    index = {**source.index, key: ["diffusers", new.kind]}
    return dataclasses.replace(source, components=replaced, index=index, autoencoder=new.config)


def _with_weights_from(source: Source, checkpoint: Path, wanted: Collection[str]) -> Source:
    """The same source with the weights of a checkpoint, which has no safety checker and no ControlNets."""
    components = [
        dataclasses.replace(component, checkpoint=checkpoint) if component.name in CHECKPOINT_GRAPHS else component
        for component in source.components
    ]
    without_weights = {
        component.name
        for component in components
        if component.checkpoint is None and not any(component.folder.glob("*.safetensors"))
    }
    dropped = set() if wanted else without_weights
    return dataclasses.replace(
        source,
        components=tuple(component for component in components if component.name not in dropped),
        index={key: [None, None] if key in dropped else value for key, value in source.index.items()},
    )
