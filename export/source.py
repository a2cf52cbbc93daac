"""A folder that diffusers saved, read strictly: local files only, safetensors only, every weight there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ddim_edge.config import read_json
from ddim_edge.errors import ConfigError, ExportError

from .module import first_line
from .quiet import quiet
from .signature import read_signature

_PIPELINES = ("DDPMPipeline", "DDIMPipeline")
_DEFAULT_INDEX = {"_class_name": "DDIMPipeline"}
_DEFAULT_SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "prediction_type": "epsilon",
    "clip_sample": True,
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "timestep_spacing": "leading",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the network lies, and the JSON objects that go into the bundle."""

    network: Path
    """The folder with config.json and safetensors."""
    config: Mapping[str, Any]
    index: Mapping[str, Any]
    scheduler: Mapping[str, Any]


def open_source(folder: Path) -> Source:
    """Look at a UNet2DModel folder or an unconditional or class-conditional pipeline folder; loads no weights.

    ConfigError says what the folder is instead, and what was expected.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}: give a folder that diffusers' save_pretrained wrote")
    is_pipeline = (folder / "model_index.json").is_file()
    if not is_pipeline and not (folder / "config.json").is_file():
        raise ConfigError(f"{folder} holds neither config.json (a UNet2DModel) nor model_index.json (a pipeline)")
    network = folder / "unet" if is_pipeline else folder
    return Source(
        network=network,
        config=_network_config(network),
        index=_pipeline_index(folder) if is_pipeline else _DEFAULT_INDEX,
        scheduler=_pipeline_scheduler(folder) if is_pipeline else _DEFAULT_SCHEDULER,
    )


def load_network(source: Source) -> torch.nn.Module:
    """Load the weights through diffusers. ExportError where they do not fit the config."""
    with quiet():
        import diffusers  # seconds of import, which export_unet does without

        loader: Any = diffusers.UNet2DModel
        try:
            module, info = loader.from_pretrained(
                source.network, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError, TypeError, RuntimeError, NotImplementedError) as error:
            raise ExportError(f"diffusers cannot load {source.network}: {first_line(error)}") from error
    # diffusers only logs this, and leaves the weights random.
    if info["missing_keys"]:
        count, name = len(info["missing_keys"]), min(info["missing_keys"])
        raise ExportError(f"{source.network} lacks {count} of the network's weights, {name} among them")
    network: torch.nn.Module = module
    return network


def _network_config(folder: Path) -> Mapping[str, Any]:
    config = read_json(folder / "config.json")
    name = config.get("_class_name")
    if name != "UNet2DModel":
        raise ConfigError(f"{folder} holds a {name}; this command exports UNet2DModel")
    read_signature(config)
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"{folder} has no weights in safetensors (other formats can run code when they are read): save them again "
            "with save_pretrained(..., safe_serialization=True)"
        )
    return config


def _pipeline_index(folder: Path) -> Mapping[str, Any]:
    index = read_json(folder / "model_index.json")
    name = index.get("_class_name")
    if name not in _PIPELINES:
        raise ConfigError(f"{folder} holds a {name}; this command exports {' and '.join(_PIPELINES)}")
    return {key: index[key] for key in ("_class_name", "id2label", "null_class") if key in index}


def _pipeline_scheduler(folder: Path) -> Mapping[str, Any]:
    return read_json(folder / "scheduler" / "scheduler_config.json")
