"""Exports a Stable Diffusion folder with the graphs of optimum-onnx instead of our own: ``--with optimum``."""

import dataclasses
import gc
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddim_edge.bundle.defaults import Defaults
from ddim_edge.bundle.layout import CONFIG, MODEL, SCHEDULER, TRANSFORMER
from ddim_edge.errors import ConfigError, ExportError
from ddim_edge.version import package_version
from ddim_edge.whole_folder import check_free, whole_folder

from .bundle_component import ExportJob, export_component
from .component_signature import signature_of
from .config_keys import widths
from .draft import check_opens, check_runs
from .errors import error_summary
from .finish import finish_bundle
from .folder import BundleReport, fetch
from .fp32_fallback import Fp32Fallbacks
from .networks.network import Network, evaluation_mode, free_weights
from .options import Options
from .output.record import file_entry, remember_hashes, write_json
from .output.report import Report, write_report
from .progress import Progress, ignore_progress
from .quiet import quiet
from .sources.diffusers_folder import Component, Source, open_source
from .sources.locate import Location, locate
from .sources.scheduler import SchedulerFile, check_scheduler, choose_scheduler
from .sources.weights import check_config, check_weights, extra_weights_error, load_network, weight_files
from .verify.foreign_graph import Declared, run_as_declared, verify_as_declared

PACKAGE = "optimum-onnx"
_OPTIONS = Options()
_OURS = ("safety_checker",)
"""What optimum leaves out of a bundle."""


def export_with_optimum(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    scheduler: SchedulerFile | None = None,
    defaults: Mapping[str, Any] | None = None,
    on_stage: Progress = ignore_progress,
) -> BundleReport:
    """Export a Stable Diffusion folder, or OWNER/NAME on the hub, to the new folder ``out``, with optimum's graphs.

    Tokenizers, scheduler file and hashes are written, and a safety checker is exported, as by ``export_folder``; each
    graph is run and compared with PyTorch before ``out`` appears. ``scheduler``, ``defaults`` and ``on_stage`` are
    those of ``export_folder``. An interrupted export begins again.

    Raises ConfigError (optimum is not installed, the source is no Stable Diffusion folder, ``out`` is not empty),
    ExportError (optimum fails, or a graph does not run or differs) and OutputError.
    """
    out = Path(out).resolve()
    check_free(out)
    check_installed()
    location = locate(os.fspath(source))
    opened = _open_source(location)
    chosen = choose_scheduler(location.folder / SCHEDULER, scheduler, assume_ddim=False)
    check_scheduler(chosen.keys)
    recommended = Defaults.checked(defaults or {})
    check_runs(opened, chosen, _OPTIONS, recommended)
    for component in opened.components:
        check_config(component)
    fetch(location, opened)
    for component in opened.components:
        check_weights(component, allow_pickle=False)
    with whole_folder(out) as bundle, tempfile.TemporaryDirectory(dir=bundle.parent) as made:
        on_stage("optimum", "export")
        _make_graphs(opened, Path(made))
        _check_made(opened, Path(made))
        reports = {part.name: _component(bundle, Path(made), part, opened, on_stage) for part in opened.components}
        on_stage("bundle", "write")
        finish_bundle(bundle, opened, chosen, location, recommended, exporter=_exporter())
        check_opens(bundle)
    remember_hashes(out)
    moved = {name: dataclasses.replace(report, path=out / name) for name, report in reports.items()}
    return BundleReport(path=out, components=moved)


def check_installed() -> None:
    """ConfigError where optimum is not installed, or does not work with the packages beside it."""
    if package_version(PACKAGE) is None:
        raise ConfigError(
            f"--with optimum needs {PACKAGE}, which is not installed: in an environment of its own, because it needs "
            f"transformers before 4.58, pip install '{PACKAGE}[onnxruntime]>=0.1'"
        )
    try:
        with quiet():
            import optimum.exporters.onnx  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"--with optimum: {PACKAGE} does not work with the packages beside it ({error_summary(error)}): install it "
            "in an environment of its own, with transformers before 4.58"
        ) from None


def _open_source(location: Location) -> Source:
    if location.checkpoint is not None:
        raise ConfigError(f"--with optimum takes a folder that diffusers saved, and {location.name} is a checkpoint")
    opened = open_source(location.folder)
    if "text_encoder" not in opened.graphs and "text_encoder_2" not in opened.graphs:
        raise ConfigError(
            f"{location.folder} is not a Stable Diffusion folder, it has no text encoder: leave out --with optimum"
        )
    if TRANSFORMER.name in opened.graphs:
        raise ConfigError(
            f"{location.folder} has a transformer, and --with optimum brings in UNets: leave out --with optimum"
        )
    if opened.has_controlnet:
        raise ConfigError(
            f"{location.folder} has a ControlNet, which optimum does not export: leave out --with optimum"
        )
    return opened


def _make_graphs(source: Source, folder: Path) -> None:
    """Have optimum export the source to ``folder``. ExportError where it fails."""
    with quiet():
        from optimum.exporters.onnx import main_export

        try:
            main_export(str(source.folder), str(folder), task=_task(source), do_validation=False, local_files_only=True)
        except Exception as error:  # whatever it meets in a network that it does not know
            raise ExportError(f"optimum cannot export {source.folder}: {error_summary(error)}") from error
    gc.collect()


def _check_made(source: Source, made: Path) -> None:
    for component in source.components:
        if component.name not in _OURS and not (made / component.name / MODEL).is_file():
            raise ExportError(f"optimum made no graph of the {component.name}: leave out --with optimum")


def _task(source: Source) -> str:
    """The task by which optimum chooses diffusers' pipeline class."""
    name = str(source.index.get("_class_name"))
    if "Inpaint" in name:
        return "inpainting"
    return "image-to-image" if "Img2Img" in name else "text-to-image"


def _component(bundle: Path, made: Path, component: Component, source: Source, on_stage: Progress) -> Report:
    """Move a component's graph from ``made`` to the bundle, compare it with PyTorch, and write its JSON files."""
    folder = bundle / component.name
    if component.name in _OURS:
        job = ExportJob(source=source, options=_OPTIONS, loras=(), fp32_fallbacks=Fp32Fallbacks())
        return export_component(folder, component, job, on_stage)
    folder.mkdir()
    for file in sorted((made / component.name).glob(f"{MODEL}*")):
        file.rename(folder / file.name)
    write_json(folder / CONFIG, {key: value for key, value in component.config.items() if key != "_name_or_path"})
    report = _compare(folder, component, source, on_stage)
    write_report(folder, report)
    return report


def _compare(folder: Path, component: Component, source: Source, on_stage: Progress) -> Report:
    graph = folder / MODEL
    declared = Declared.read(graph)
    on_stage(component.name, "load")
    network = _load(component, source)
    on_stage(component.name, "verify")
    with evaluation_mode(network.module), quiet():
        references = run_as_declared(network, declared, _multiple(component))
    free_weights(network)
    gc.collect()
    with quiet():
        cases = verify_as_declared(graph, references)
    options = dataclasses.replace(_OPTIONS, opset=declared.opset)
    made_from = _made_from(component)
    return Report(path=folder, network=network.name, options=options, cases=cases, made_from=made_from)


def _load(component: Component, source: Source) -> Network:
    module, extra = load_network(component)
    if extra:
        raise extra_weights_error(component, extra)
    call, signature = signature_of(component, source, _OPTIONS)
    return Network(module=module, call=call, signature=signature, disposable=True)


def _multiple(component: Component) -> int:
    """What the sides of a UNet's sample must be multiples of: optimum's trace fixes how it upsamples."""
    return 2 ** (len(widths(component.config, "block_out_channels")) - 1) if component.name == "unet" else 1


def _made_from(component: Component) -> dict[str, Any]:
    files = [component.folder / CONFIG, *weight_files(component)]
    return {
        "exporter": _exporter(),
        "folder": component.folder.name,
        "class": component.kind,
        "files": {file.name: file_entry(file) for file in files},
    }


def _exporter() -> str:
    return f"{PACKAGE} {package_version(PACKAGE)}"
