"""Exports a diffusers folder, a checkpoint or a repository of the hub to a bundle, component by component."""

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddim_edge.bundle.defaults import Defaults
from ddim_edge.bundle.layout import SCHEDULER
from ddim_edge.lora.trained import read_trained

from .bundle_component import ExportJob, check_component, export_component
from .draft import check_runs
from .finish import finish_bundle
from .fp32_fallback import read_fp32_fallbacks
from .options import OPSET, read_options
from .output.record import folder_size, remember_hashes
from .output.report import Report
from .output.resumable import unfinished_folder
from .progress import Progress, ignore_progress
from .sources.diffusers_folder import Source, open_source
from .sources.hub import fetch_weights
from .sources.image_encoder import with_ip_adapters
from .sources.locate import Location, locate
from .sources.lora import check_targets
from .sources.new_words import with_textual_inversions
from .sources.pictures import own_defaults
from .sources.pipeline_class import usual_options
from .sources.scheduler import SchedulerFile, check_scheduler, choose_scheduler
from .sources.weights import check_config, check_weights
from .unet_options import check_unet_options


@dataclass(frozen=True, kw_only=True)
class BundleReport:
    """An exported bundle: its folder, and the report of each component by name."""

    path: Path
    components: Mapping[str, Report]

    @property
    def size(self) -> int:
        """Size of all files of the bundle, in bytes."""
        return folder_size(self.path)


def export_folder(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    config: str | None = None,
    scheduler: SchedulerFile | None = None,
    assume_ddim: bool = False,
    defaults: Mapping[str, Any] | None = None,
    components: Collection[str] = (),
    dtype: str = "fp32",
    keep_fp32: Collection[str] = (),
    fp32_too: Collection[str] = (),
    quantize: str | None = None,
    opset: int = OPSET,
    static: str | None = None,
    target: str = "cpu",
    lora_slots: int | None = None,
    lora_rank: int | None = None,
    fuse_step: bool = False,
    step_cache: int | None = None,
    vae: str | os.PathLike[str] | None = None,
    loras: Sequence[str] = (),
    textual_inversions: Sequence[str] = (),
    ip_adapters: Sequence[str | os.PathLike[str]] = (),
    ip_adapter_image_encoder: str | os.PathLike[str] | None = None,
    allow_pickle: bool = False,
    ignore_extra_weights: bool = False,
    on_stage: Progress = ignore_progress,
) -> BundleReport:
    """Export a UNet2DModel, or a diffusers pipeline, to the new folder ``out``.

    ``source`` is a folder that diffusers saved, the OWNER/NAME of a repository on the Hugging Face hub, or a
    single-file checkpoint in safetensors. A checkpoint has no configs: ``config`` is a folder, or a repository, with
    the configs of the same kind of pipeline. The default is the repository that diffusers chooses for the checkpoint.

    ``scheduler`` is a scheduler_config.json, or its contents, to use instead of the source's. A UNet2DModel alone has
    none: give one, or ``assume_ddim``, which is 1000 steps of linear betas from 0.0001 to 0.02 and noise prediction.

    ``defaults`` are options that the model's users get unless they give others: num_steps, guidance_scale,
    negative_prompt, height, width. They become generation_config.json.

    Every network gets a folder with model.onnx, config.json and export.json: unet, vae_encoder, vae_decoder,
    text_encoder, text_encoder_2, controlnet, controlnet_1 …, safety_checker. Tokenizers are copied. model_index.json
    is written last, so that an interrupted export does not look like a bundle. The same call continues it.

    ``components`` names the graphs to make; empty means all. ``dtype`` is "fp32", "fp16" or "bf16". A component
    whose values are too large for fp16 stays in fp32, and its report's ``remark`` says so; those of ``keep_fp32``
    stay in fp32, too. The components of ``fp32_too``, or "all", get model.fp32.onnx beside the model.onnx in fp16:
    the runtime switches to it when model.onnx fails. ``opset`` is 18 to 23. ``target`` is "cpu", "cuda" or
    "tensorrt": the operators are chosen for it. ``quantize`` is "int8-weights" or None; ``target`` decides on its
    operator. ``static`` is "BxHxW": the UNet's batch and the image size in pixels that all graphs are fixed to.
    ``lora_slots`` is how many LoRAs, chosen for each request, a call may have, of a rank up to ``lora_rank`` (16): the
    UNet and the text encoders get inputs for them (docs/lora.md).
    ``fuse_step`` adds unet/unet_step.onnx, which has guidance and the DDIM step as nodes and shares the weights of
    model.onnx. ``step_cache`` is a branch, from 0 on: it adds unet/shallow.onnx, which takes the hidden state that an
    earlier call of the UNet returned and computes only the outer blocks (DeepCache). ``vae`` is a folder with another
    autoencoder. ``loras`` are files in safetensors, each optionally with ":SCALE", that are added to the weights.
    ``textual_inversions`` are files with the embeddings of a word, each optionally with ":TOKEN", its name in prompts.
    ``ip_adapters`` are files of IP-Adapters: the bundle gets image_encoder/ and takes an image for each of them. Their
    encoder is ``ip_adapter_image_encoder``, or the folder image_encoder of the source or beside the first file.
    Pickled weights need ``allow_pickle``. Weights that the networks do not have need ``ignore_extra_weights``: without
    them the images would differ from the source's.

    What the runtime would refuse is refused before a network is traced. A scheduler that is not built here gets a
    SchedulerWarning: the bundle then needs ``sampler`` at every run. A PipelineWarning names an unknown pipeline.

    ``on_stage`` is called with a component's name and "load", "export", "fit", "verify", "cache", "fuse" or "write"
    when that stage begins; for the fp32 graph of a component, its name ends in ".fp32".
    Raises ConfigError (the source is something else, an option does not apply to it, or ``out`` is not empty),
    ExportError and OutputError, as ``export_unet`` does.
    """
    out = Path(out).resolve()
    options = read_options(
        dtype=dtype,
        opset=opset,
        target=target,
        quantize=quantize,
        static=static,
        lora_slots=lora_slots,
        lora_rank=lora_rank,
        fuse_step=fuse_step,
        step_cache=step_cache,
    )
    location = locate(os.fspath(source), config)
    opened = open_source(
        location.folder, components, vae=None if vae is None else Path(vae), checkpoint=location.checkpoint
    )
    opened = with_textual_inversions(opened, textual_inversions, allow_pickle=allow_pickle)
    opened = with_ip_adapters(
        opened,
        [Path(file) for file in ip_adapters],
        None if ip_adapter_image_encoder is None else Path(ip_adapter_image_encoder),
        allow_pickle=allow_pickle,
    )
    chosen = choose_scheduler(location.folder / SCHEDULER, scheduler, assume_ddim=assume_ddim)
    check_scheduler(chosen.keys)
    usual = {**usual_options(opened.index.get("_class_name")), **own_defaults(opened.index)}
    recommended = Defaults.checked({**usual, **(defaults or {})})
    names = [component.name for component in opened.components]
    fp32_fallbacks = read_fp32_fallbacks(keep_fp32, fp32_too, components=names, precision=options.precision)
    check_unet_options(opened, options, fp32_fallbacks)
    check_runs(opened, chosen, options, recommended)
    for component in opened.components:
        check_config(component)
    fetch(location, opened, allow_pickle=allow_pickle)
    for component in (*opened.components, *filter(None, [opened.baked_prompt])):
        check_weights(component, allow_pickle=allow_pickle)
    job = ExportJob(
        source=opened,
        options=options,
        loras=tuple(map(read_trained, loras)),
        fp32_fallbacks=fp32_fallbacks,
        ignore_extra_weights=ignore_extra_weights,
    )
    check_targets(job.loras, opened)
    missing = [component for component in opened.components if not (out / component.name).exists()]
    ignored = {component.name: check_component(component, job) for component in missing}
    job = dataclasses.replace(job, ignored_weights=ignored)
    with unfinished_folder(out, names):
        reports = {
            component.name: export_component(out / component.name, component, job, on_stage)
            for component in opened.components
        }
        on_stage("bundle", "write")
        finish_bundle(out, opened, chosen, location, recommended)
    remember_hashes(out)
    return BundleReport(path=out, components=reports)


def fetch(location: Location, source: Source, *, allow_pickle: bool = False) -> None:
    """Download the weights of the wanted components, if the source is a repository."""
    if location.repository is not None:
        read = (*source.components, *filter(None, [source.baked_prompt]))
        folders = [entry.folder for entry in read if entry.folder.is_relative_to(location.folder)]
        fetch_weights(location.repository, location.folder, folders, allow_pickle=allow_pickle)
