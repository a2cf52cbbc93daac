"""Exports one component of a bundle in the precision that was chosen, or reuses one that an earlier run finished."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ddim_edge.bundle.layout import EXPORT_RECORD, IMAGE_ENCODER, MODEL
from ddim_edge.bundle.lora_slots import WITH_LORA_SLOTS
from ddim_edge.bundle.verify import verify_files
from ddim_edge.errors import BundleError, ConfigError, ExportError
from ddim_edge.lora.trained import TrainedLora
from ddim_edge.whole_folder import whole_folder

from .component import export_fp32_fallback, export_into
from .component_signature import config_of, signature_of
from .fp32_fallback import Fp32Fallbacks
from .fuse import fuse_step
from .networks.baked_prompt import bake_prompt
from .networks.branches import check_module
from .networks.image_prompt import ImagePromptEncoder, add_ip_adapters
from .networks.lora_slots import with_slots
from .networks.network import Network
from .options import Options
from .output.record import file_entry
from .output.report import Report, read_report, write_report
from .picture_channels import channel_keys, put_behind
from .precision import FP32
from .progress import Progress, Stage
from .sources.diffusers_folder import Component, Source
from .sources.lora import add_lora
from .sources.new_words import add_embeddings
from .sources.weights import extra_weights_error, load_network, weight_files
from .step_cache import add_step_cache
from .verify.fused_step import StepCheck, verify_step


@dataclass(frozen=True, kw_only=True)
class ExportJob:
    """What all components of one export share."""

    source: Source
    options: Options
    loras: tuple[TrainedLora, ...]
    fp32_fallbacks: Fp32Fallbacks
    ignore_extra_weights: bool = False
    """Whether weights that a network does not have may be left out."""
    ignored_weights: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names of weights that are left out, by component."""

    def options_for(self, component: Component) -> Options:
        """The options of one component: its own precision; further graphs for the UNet alone; slots where LoRAs are."""
        keep_fp32 = component.name in self.fp32_fallbacks.fp32_only
        return dataclasses.replace(
            self.options,
            precision=FP32 if keep_fp32 else self.options.precision,
            lora=self.options.lora if component.name in WITH_LORA_SLOTS else None,
            fuse_step=self.options.fuse_step and component.name == "unet",
            step_cache=self.options.step_cache if component.name == "unet" else None,
            keep_fp32=keep_fp32,
            fp32_too=component.name in self.fp32_fallbacks.fp32_too,
        )


def export_component(folder: Path, component: Component, job: ExportJob, on_stage: Progress) -> Report:
    """Write one component to ``folder``, verified; or read its report if an earlier run wrote the same.

    ConfigError where ``folder`` was made from other files or with other options; ExportError as ``export_into``.
    """
    made_from = _made_from(component, job)
    if folder.exists():
        return _reuse(folder, made_from)
    with whole_folder(folder) as temporary:
        report = dataclasses.replace(
            _export(temporary, component, job, on_stage),
            made_from=made_from,
            ignored_weights=job.ignored_weights.get(component.name, ()),
        )
        if report.options.step_cache is not None:
            on_stage("unet", "cache")
            report = dataclasses.replace(report, step_cache=add_step_cache(temporary, report.options.step_cache))
        if report.options.fuse_step:
            report = dataclasses.replace(report, step=_fuse_step(temporary, on_stage))
        write_report(temporary, report)
    return dataclasses.replace(report, path=folder)


def check_component(component: Component, job: ExportJob) -> tuple[str, ...]:
    """Load a component and its LoRAs once, so that what does not fit is found before any network is traced.

    Returns the names of weights that the network does not have. ConfigError if they may not be left out, for a LoRA
    that does not fit, and for a UNet without the branch of the step cache; ExportError as ``load_network``.
    """
    module, extra = _load_module(component, job)
    branch = job.options_for(component).step_cache
    if branch is not None:
        check_module(module, branch)
    return extra


def _fuse_step(folder: Path, on_stage: Progress) -> StepCheck:
    on_stage("unet", "fuse")
    step = fuse_step(folder)
    return verify_step(folder / MODEL, step)


def _made_from(component: Component, job: ExportJob) -> dict[str, Any]:
    files = [component.folder / "config.json", *weight_files(component)]
    return {
        "folder": component.folder.name,
        "class": component.kind,
        "files": {file.name: file_entry(file) for file in files},
        **job.options_for(component).to_json(),
        "loras": [lora.to_json() for lora in job.loras],
        "takes_controls": job.source.has_controlnet and component.name == "unet",
        **_additions(component, job.source),
    }


def _additions(component: Component, source: Source) -> dict[str, Any]:
    """What a component has beside its own weights: IP-Adapters, textual inversions, a prompt, a picture's channels."""
    found: dict[str, Any] = {}
    if component.name == "unet":
        found |= channel_keys(component.config, source)
        if source.baked_prompt is not None:
            found["prompt"] = [file_entry(file) for file in weight_files(source.baked_prompt)]
    if source.ip_adapters and component.name in ("unet", IMAGE_ENCODER.name):
        found["ip_adapters"] = [adapter.to_json() for adapter in source.ip_adapters]
    if source.textual_inversions and component.name.startswith("text_encoder"):
        found["textual_inversions"] = [inversion.to_json() for inversion in source.textual_inversions]
    return found


def _reuse(folder: Path, made_from: Mapping[str, Any]) -> Report:
    report = read_report(folder) if (folder / EXPORT_RECORD).is_file() else None
    if report is None or report.made_from != json.loads(json.dumps(made_from)):
        raise ConfigError(
            f"{folder} is there already, made from other files or with other options: remove {folder.parent} or choose "
            "another place"
        )
    try:
        verify_files(folder)
    except BundleError as error:
        raise ConfigError(f"{error}; or remove {folder}, and the same export makes it again") from None
    return report


def _export(folder: Path, component: Component, job: ExportJob, on_stage: Progress) -> Report:
    """Export in the chosen precision, with an fp32 fallback if wanted; in float32 where that precision fails."""
    stage = functools.partial(on_stage, component.name)
    load = functools.partial(_load, component, job, stage)
    failure = _known_to_overflow(component, job.source)
    config, options = config_of(component, job.source, job.options), job.options_for(component)
    if options.precision is not FP32 and not failure:
        try:
            report = export_into(folder, load, config, stage, options)
        except ExportError as error:
            failure = str(error).partition("; nothing was written")[0]
        else:
            return _with_fp32_fallback(report, component, job, on_stage) if options.fp32_too else report
    in_fp32 = dataclasses.replace(options, precision=FP32, fp32_too=False)
    report = export_into(folder, load, config, stage, in_fp32)
    remark = f"kept in fp32: {failure}" if failure and options.precision is not FP32 else report.remark
    return dataclasses.replace(report, remark=remark)


def _with_fp32_fallback(report: Report, component: Component, job: ExportJob, on_stage: Progress) -> Report:
    """Add model.fp32.onnx to a component that was exported in fp16."""
    stage = functools.partial(on_stage, f"{component.name}.fp32")
    load = functools.partial(_load, component, job, stage)
    cases = export_fp32_fallback(report.path, load, stage, report.options)
    return dataclasses.replace(report, fp32_fallback_cases=cases)


def _known_to_overflow(component: Component, source: Source) -> str | None:
    """Why a component is not exported in fp16 at all; None otherwise.

    The key force_upcast is true in nearly every VAE's config. diffusers heeds it for SDXL only.
    """
    is_sdxl = "text_encoder_2" in source.graphs
    return "its config says force_upcast" if is_sdxl and component.config.get("force_upcast") else None


def _load(component: Component, job: ExportJob, stage: Stage) -> Network:
    """The network with its weights, and LoRAs, IP-Adapters and new words added to them."""
    stage("load")
    module, _ = _load_module(component, job)
    call, signature = signature_of(component, job.source, job.options)
    network = Network(module=module, call=call, signature=signature, disposable=True)
    slots = job.options_for(component).lora
    return network if slots is None else with_slots(network, slots)


def _load_module(component: Component, job: ExportJob) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """The module with LoRAs, IP-Adapters and new words, and the names of weights that it does not have."""
    module, extra = load_network(component)
    if extra and not job.ignore_extra_weights:
        raise extra_weights_error(component, extra)
    for lora in job.loras:
        add_lora(module, lora, component.name)
    adapters = job.source.ip_adapters
    if component.name == IMAGE_ENCODER.name:
        return ImagePromptEncoder(module, adapters).eval(), extra
    if component.name == "unet" and adapters:
        add_ip_adapters(module, adapters)
    if component.name == "unet":
        put_behind(module, job.source)
        if job.source.baked_prompt is not None:
            bake_prompt(module, job.source.baked_prompt)
    add_embeddings(module, component, job.source)
    return module, extra
