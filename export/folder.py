"""A diffusers folder into a bundle, component by component."""

import dataclasses
import functools
import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddim_edge.errors import ConfigError, ExportError

from .component import export_fp32_fallback, export_into
from .component_signature import describe_part
from .config_keys import Config
from .fp32_fallback import Fp32Fallbacks, read_fp32_fallbacks
from .fuse import fuse_step as write_step
from .networks.network import Call, Network
from .networks.signature import Signature
from .options import OPSET, Options, read_options
from .output.atomic import whole_folder
from .output.record import FILE_NAME, describe, folder_size, hashes, write_json
from .output.report import Report, read_report, write_report
from .output.resumable import finish, unfinished_folder
from .precision import FP32
from .progress import Progress, Stage, ignore_progress
from .sources.checkpoint import stated_licence
from .sources.diffusers_folder import Part, Source, open_source
from .sources.hub import fetch_weights
from .sources.licence import licence_of
from .sources.locate import Location, locate
from .sources.lora import Lora, check_targets, fuse, read_lora
from .sources.weights import check_weights, load, weight_files
from .static_shapes import fix
from .verify.fused_step import StepCheck, verify_step

ANY_SIZE = {"size_multiple": 1}
"""For a UNet's config.json: what sides of a sample are multiples of; 2 for each level but the first."""


@dataclass(frozen=True, kw_only=True)
class BundleReport:
    """A bundle that was exported: where it lies, and the report of each component by name."""

    path: Path
    components: Mapping[str, Report]

    @property
    def size(self) -> int:
        """Bytes of all files of the bundle."""
        return folder_size(self.path)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What all components share."""

    source: Source
    options: Options
    loras: tuple[Lora, ...]
    fp32_fallbacks: Fp32Fallbacks

    def options_for(self, part: Part) -> Options:
        """The step is a matter of the UNet alone, and the precision one of each part."""
        kept = part.name in self.fp32_fallbacks.kept
        return dataclasses.replace(
            self.options,
            precision=FP32 if kept else self.options.precision,
            fuse_step=self.options.fuse_step and part.name == "unet",
            keep_fp32=kept,
            fp32_too=part.name in self.fp32_fallbacks.doubled,
        )


def export_folder(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    config: str | None = None,
    components: Collection[str] = (),
    dtype: str = "fp32",
    keep_fp32: Collection[str] = (),
    fp32_too: Collection[str] = (),
    quantize: str | None = None,
    opset: int = OPSET,
    static: str | None = None,
    target: str = "cpu",
    fuse_step: bool = False,
    vae: str | os.PathLike[str] | None = None,
    loras: Sequence[str] = (),
    allow_pickle: bool = False,
    on_stage: Progress = ignore_progress,
) -> BundleReport:
    """Export a UNet2DModel, or a diffusers pipeline, to the new folder ``out``.

    ``source`` is a folder that diffusers saved, the OWNER/NAME of a repository on the Hugging Face hub, or a
    single-file checkpoint in safetensors. Such a file has no configs: ``config`` is a folder, or a repository, that has
    those of the same kind of pipeline; by default, the repository that diffusers takes for it.

    Every network gets a folder with model.onnx, config.json and export.json: unet, vae_encoder, vae_decoder,
    text_encoder, text_encoder_2, controlnet, controlnet_1 …, safety_checker. Tokenizers are copied. model_index.json
    comes last, so that an export that was cut short does not look like a bundle; the same call goes on with it.

    ``components`` names the graphs to make, all if empty. ``dtype`` is "fp32", "fp16" or "bf16"; a component that fp16
    spoils stays in fp32, which its report's ``remark`` says, and so do those of ``keep_fp32``. Those of ``fp32_too``,
    or "all", get model.fp32.onnx beside the model.onnx in fp16, for the run time to change over to where that fails.
    ``opset`` is 18 to 23, ``target`` "cpu", "cuda" or "tensorrt": what the operators are chosen for. ``static`` is
    "BxHxW": the batch of the UNet, and the size in pixels, that all graphs are fixed to. ``fuse_step`` adds
    unet/unet_step.onnx, which has guidance and the DDIM step as nodes, and shares the weights of model.onnx. ``vae`` is
    a folder with another autoencoder. ``loras`` are files in safetensors, each perhaps with ":SCALE", that are added to
    the weights. Pickled weights need ``allow_pickle``.

    ``on_stage`` is called with a component and "load", "export", "fit", "verify", "fuse" or "write" as each begins;
    the fp32 form of a component has ".fp32" after its name.
    Raises ConfigError (the source is something else, an option means nothing to it, or ``out`` is taken), ExportError
    and OutputError, as ``export_unet`` does.
    """
    out = Path(out).resolve()
    options = read_options(
        dtype=dtype, opset=opset, target=target, quantize=quantize, static=static, fuse_step=fuse_step
    )
    location = locate(os.fspath(source), config)
    opened = open_source(
        location.folder, components, vae=None if vae is None else Path(vae), checkpoint=location.checkpoint
    )
    names = [part.name for part in opened.parts]
    fp32_fallbacks = read_fp32_fallbacks(keep_fp32, fp32_too, components=names, precision=options.precision)
    for part in opened.parts:
        _signature(part, opened, options)
    if fuse_step:
        _check_step(opened)
    _fetch(location, opened, allow_pickle=allow_pickle)
    for part in opened.parts:
        check_weights(part, allow_pickle=allow_pickle)
    job = _Job(source=opened, options=options, loras=tuple(map(read_lora, loras)), fp32_fallbacks=fp32_fallbacks)
    check_targets(job.loras, opened)
    with unfinished_folder(out, names):
        reports = {part.name: _component(out / part.name, part, job, on_stage) for part in opened.parts}
        on_stage("bundle", "write")
        _complete(out, opened, location)
    return BundleReport(path=out, components=reports)


def _check_step(source: Source) -> None:
    """Refuse early what has no fused step. ``fuse_step`` itself looks at the graph, which takes long to make."""
    unet = next((part.config for part in source.parts if part.name == "unet"), None)
    if unet is None:
        raise ConfigError("--fuse-step is for the unet: have it among --components, or leave --fuse-step out")
    if source.has_controlnet:
        raise ConfigError("--fuse-step: ControlNets look at the sample before the unet does; leave one of them out")
    taken, predicted = unet.get("in_channels"), unet.get("out_channels")
    if taken != predicted:
        raise ConfigError(f"--fuse-step: the unet takes {taken} channels and predicts {predicted}; leave it out")


def _fetch(location: Location, source: Source, *, allow_pickle: bool) -> None:
    """Fetch the weights of a repository, of the parts that are wanted."""
    if location.repository is not None:
        folders = [part.folder for part in source.parts if part.folder.is_relative_to(location.folder)]
        fetch_weights(location.repository, location.folder, folders, allow_pickle=allow_pickle)


def _component(folder: Path, part: Part, job: _Job, on_stage: Progress) -> Report:
    """Make one component, unless an earlier run has made the same."""
    made_from = _made_from(part, job)
    if folder.exists():
        return _made_before(folder, made_from)
    with whole_folder(folder) as place:
        report = dataclasses.replace(_export(place, part, job, on_stage), made_from=made_from)
        if report.options.fuse_step:
            report = dataclasses.replace(report, step=_fuse_step(place, on_stage))
        write_report(place, report)
    return dataclasses.replace(report, path=folder)


def _fuse_step(folder: Path, on_stage: Progress) -> StepCheck:
    on_stage("unet", "fuse")
    step = write_step(folder)
    return verify_step(folder / "model.onnx", step)


def _made_from(part: Part, job: _Job) -> dict[str, Any]:
    files = [part.folder / "config.json", *weight_files(part)]
    return {
        "folder": part.folder.name,
        "class": part.kind,
        "files": {file.name: describe(file) for file in files},
        **job.options_for(part).to_json(),
        "loras": [lora.to_json() for lora in job.loras],
        "takes_controls": job.source.has_controlnet and part.name == "unet",
    }


def _made_before(folder: Path, made_from: Mapping[str, Any]) -> Report:
    report = read_report(folder) if (folder / FILE_NAME).is_file() else None
    if report is None or report.made_from != json.loads(json.dumps(made_from)):
        raise ConfigError(
            f"{folder} is there already, made from other files or with other options: remove {folder.parent} or choose "
            "another place"
        )
    return report


def _export(folder: Path, part: Part, job: _Job, on_stage: Progress) -> Report:
    """Export in the precision that was asked for, and in float32 too if wanted; where that spoils it, in float32."""
    stage = functools.partial(on_stage, part.name)
    load_part = functools.partial(_network, part, job, stage)
    spoilt = _known_to_overflow(part, job.source)
    config, options = _config(part, job), job.options_for(part)
    if options.precision is not FP32 and not spoilt:
        try:
            report = export_into(folder, load_part, config, stage, options)
        except ExportError as error:
            spoilt = str(error).partition("; nothing was written")[0]
        else:
            return _with_spare(report, part, job, on_stage) if options.fp32_too else report
    in_fp32 = dataclasses.replace(options, precision=FP32, fp32_too=False)
    report = export_into(folder, load_part, config, stage, in_fp32)
    remark = f"kept in fp32: {spoilt}" if spoilt and options.precision is not FP32 else report.remark
    return dataclasses.replace(report, remark=remark)


def _with_spare(report: Report, part: Part, job: _Job, on_stage: Progress) -> Report:
    """Add the fp32 form to what was exported in fp16."""
    stage = functools.partial(on_stage, f"{part.name}.fp32")
    load_part = functools.partial(_network, part, job, stage)
    return dataclasses.replace(
        report, fp32_fallback_cases=export_fp32_fallback(report.path, load_part, stage, report.options)
    )


def _config(part: Part, job: _Job) -> Config:
    """The part's config; a UNet says which sizes it is for."""
    if part.name != "unet":
        return part.config
    if job.options.static is None:
        return {**part.config, **ANY_SIZE} if part.kind == "UNet2DConditionModel" else part.config
    _, signature = _signature(part, job.source, job.options)
    (size,) = signature.sizes
    return {**part.config, "sample_size": [size["height"], size["width"]]}


def _known_to_overflow(part: Part, source: Source) -> str | None:
    """Why a part is not even tried in fp16. The key is true in nearly every VAE's config; diffusers heeds SDXL's."""
    is_sdxl = "text_encoder_2" in source.graphs
    return "its config says force_upcast" if is_sdxl and part.config.get("force_upcast") else None


def _network(part: Part, job: _Job, stage: Stage) -> Network:
    stage("load")
    module = load(part)
    for lora in job.loras:
        fuse(module, lora, part.name)
    call, signature = _signature(part, job.source, job.options)
    return Network(module=module, call=call, signature=signature, disposable=True)


def _signature(part: Part, source: Source, options: Options) -> tuple[Call, Signature]:
    call, signature = describe_part(part, source)
    return call, signature if options.static is None else fix(signature, part, source, options.static)


def _complete(out: Path, source: Source, location: Location) -> None:
    """Copy what is no network, then write what makes a bundle of the folder."""
    for name in source.copied:
        shutil.rmtree(out / name, ignore_errors=True)
        shutil.copytree(source.folder / name, out / name)
    write_json(out / "scheduler" / "scheduler_config.json", source.scheduler)
    index = out / "model_index.json.part"
    write_json(index, source.index)
    entries = {name.removesuffix(".part"): entry for name, entry in hashes(out).items()}
    write_json(out / FILE_NAME, {**_origin(location), "files": entries})
    finish(out, index)


def _origin(location: Location) -> dict[str, str | None]:
    """Where a bundle comes from, for its export.json."""
    if location.checkpoint is not None:
        return {"source": location.name, "licence": stated_licence(location.checkpoint)}
    origin = {"source": location.name, "licence": licence_of(location.folder)}
    # The cache calls its folders by their commits.
    return origin | ({"revision": location.folder.name} if location.repository else {})
