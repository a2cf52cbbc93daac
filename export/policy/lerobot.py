"""Exports LeRobot's diffusion policy to a bundle that ddim_edge.load_policy opens."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ddim_edge.bundle.format import format_keys
from ddim_edge.bundle.layout import ENCODER, EXPORT_RECORD, INDEX, POLICY, SCHEDULER, UNET
from ddim_edge.diffusion.samplers import sampler_config
from ddim_edge.errors import ConfigError, shown
from ddim_edge.whole_folder import whole_folder

from ..component import export_into
from ..errors import error_summary
from ..folder import BundleReport
from ..networks.denoiser import call_unet
from ..networks.network import Network
from ..networks.signature import Input, Signature, distinct_numbers
from ..output.record import hash_files, remember_hashes, write_json
from ..output.report import Report, write_report
from ..progress import Progress, ignore_progress
from ..sources.licence import model_card_licence
from .encoder import PolicyEncoder
from .lerobot_config import ACTION, ENVIRONMENT, STATE, LerobotConfig
from .lerobot_statistics import is_statistic, normalizations
from .unet1d import ConditionalUnet1d

WEIGHTS = "model.safetensors"
OUTPUT = "output.json"
_CONDITION = "global_cond"
_PREFIX, _UNET, _COMPILED = "diffusion.", "unet.", "unet._orig_mod."


def export_policy(
    source: str | os.PathLike[str], out: str | os.PathLike[str], *, on_stage: Progress = ignore_progress
) -> BundleReport:
    """Export a folder that LeRobot's DiffusionPolicy was saved to, to the new folder ``out``.

    It has config.json, model.safetensors, and the processors' files or, from older versions, the statistics among the
    weights. Encoder and denoiser are compared with PyTorch as ``export_folder`` compares. The folder appears only at
    the end. ``on_stage`` is called with "encoder" or "unet" and the stage that begins.

    Raises ConfigError for what is no diffusion policy, or not supported, ExportError and OutputError.
    """
    source, out = Path(source), Path(out).resolve()
    config = LerobotConfig.read(source)
    sampler_config(config.scheduler)  # raises for what is not built here
    weights = _read_weights(source / WEIGHTS)
    entries = normalizations(source, config, weights)
    networks = {ENCODER.name: _encoder(config, weights), UNET.name: _denoiser(config, weights)}
    with whole_folder(out) as folder:
        reports = {name: _export(folder / name, name, one, config, on_stage) for name, one in networks.items()}
        on_stage("bundle", "write")
        _finish(folder, config, entries, source)
    remember_hashes(out)
    return BundleReport(path=out, components=reports)


def _export(folder: Path, name: str, network: Network, config: LerobotConfig, on_stage: Progress) -> Report:
    folder.mkdir()
    shape = [config.keys["horizon"], config.action.shape[0]]
    keys = {"sample_shape": shape} if name == UNET.name else {}
    report = export_into(folder, lambda: network, keys, partial(on_stage, name))
    write_report(folder, report)
    return report


def _finish(folder: Path, config: LerobotConfig, entries: Mapping[str, Any], source: Path) -> None:
    """Write the JSON files of a policy, model_index.json last."""
    observations = {
        name: {"shape": list(feature.shape), "normalization": entries[name]}
        for name, feature in config.observations.items()
    }
    steps = {name: config.keys[name] for name in ("n_obs_steps", "horizon", "n_action_steps")}
    action = {"dim": config.action.shape[0], "normalization": entries[ACTION]}
    write_json(folder / POLICY, {**steps, "observations": observations, "action": action})
    write_json(folder / SCHEDULER, config.scheduler)
    write_json(folder / OUTPUT, {"kind": "array", "axes": ["time", "action"], **_undone(entries[ACTION])})
    write_json(folder / INDEX, {"_class_name": "DiffusionPolicy"})
    origin = {"source": source.resolve().name, "licence": model_card_licence(source)}
    write_json(folder / EXPORT_RECORD, {**format_keys(), **origin, "files": hash_files(folder)})


def _undone(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {} if entry["mode"] == "identity" else {"normalization": {**entry, "axis": -1}}


def _read_weights(file: Path) -> dict[str, Tensor]:
    try:
        weights = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"cannot read {file}: {error}. Give a folder that LeRobot saved a policy to") from None
    named = {name.removeprefix(_PREFIX).replace(_COMPILED, _UNET): value for name, value in weights.items()}
    return {name: value.float() if value.is_floating_point() else value for name, value in named.items()}


def _denoiser(config: LerobotConfig, weights: Mapping[str, Tensor]) -> Network:
    with torch.device("meta"):  # memory only for the weights that are there
        unet = ConditionalUnet1d(config.unet)
    own = {name.removeprefix(_UNET): value for name, value in weights.items() if name.startswith(_UNET)}
    shape = ("batch", config.keys["horizon"], config.action.shape[0])
    last = max(config.keys["num_train_timesteps"], 2)
    inputs = (
        Input(name="sample", axes=shape),
        Input(name="timestep", axes=("batch",), draw=distinct_numbers(0, last)),
        Input(name=_CONDITION, axes=("batch", config.cond_dim)),
    )
    signature = Signature(inputs=inputs, outputs={"out_sample": shape}, sizes=({},))
    return Network(module=_loaded(unet, own), call=call_unet, signature=signature)


def _encoder(config: LerobotConfig, weights: Mapping[str, Tensor]) -> Network:
    environment = ENVIRONMENT if ENVIRONMENT in config.observations else None
    with torch.device("meta"):
        encoder = PolicyEncoder(STATE, config.cameras, environment, config.camera_config)
    own = {name: value for name, value in weights.items() if not name.startswith(_UNET) and not is_statistic(name)}
    steps = config.keys["n_obs_steps"]
    signature = Signature(
        inputs=tuple(
            Input(name=name, axes=("batch", steps, *feature.shape)) for name, feature in config.observations.items()
        ),
        outputs={_CONDITION: ("batch", config.cond_dim)},
        sizes=({},),
    )
    return Network(module=_loaded(encoder, own), call=_call_encoder, signature=signature)


def _call_encoder(module: torch.nn.Module, inputs: Mapping[str, Tensor]) -> tuple[Tensor]:
    return (module(inputs),)


def _loaded(module: torch.nn.Module, weights: Mapping[str, Tensor]) -> torch.nn.Module:
    """The module with its weights. ConfigError for names and shapes that do not fit config.json."""
    try:
        module.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        reason = shown(error_summary(error))
        raise ConfigError(f"the weights do not fit config.json's {type(module).__name__}: {reason}") from None
    return module.eval()
