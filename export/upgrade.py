"""Upgrades a finished bundle to the format of today, as far as that can be done on its graphs. Needs no PyTorch."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from onnxscript import ir

from ddim_edge.bundle.format import FORMAT, format_keys, read_format
from ddim_edge.bundle.layout import FP32_MODEL, MODEL, SHALLOW_MODEL, STEP_MODEL, component_named, graphs_of
from ddim_edge.errors import BundleError, ConfigError, ExportError
from ddim_edge.files import output_errors
from ddim_edge.graphs.external_data import check_onnx_file, huggingface_blobs
from ddim_edge.graphs.inputs import operators
from ddim_edge.whole_folder import whole_folder

from .graph.timestep import take_real_timesteps, takes_whole_timesteps
from .output.record import remember_hashes
from .output.replacement import check_recorded, replace_recorded
from .unet_files import load_graph
from .verify.timestep import check_same_at_whole_timesteps

_NORM, _FIRST_WITHOUT_NORM = "InstanceNormalization", 22
"""ONNX Runtime's CUDA provider has no kernel for this operator from this opset on."""
_COMPILED = "compiled"


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """What an upgrade did."""

    format_before: int | None
    """The format; None for a bundle without export.json."""
    format: int | None
    changed: tuple[str, ...]
    """The graphs whose timestep was made float32."""
    left: tuple[str, ...]
    """What stays as it is, and why."""


def upgrade_bundle(bundle: Path) -> Upgrade:
    """Upgrade the folder ``bundle`` in place: float32 timesteps, and the number of the format.

    All networks that take a timestep change, or none. Each graph is compared with the one before. Files are replaced
    as a whole, and an interrupted upgrade can be run again. BundleError for a graph whose hash differs from
    export.json; ExportError for a graph that is not one, or that predicts something else; OutputError where nothing
    can be written.
    """
    before = read_format(bundle)
    graphs = list(_denoisers(bundle))
    check_recorded(bundle, graphs)
    with output_errors(bundle), _drafts(graphs) as drafts:
        left = _write_drafts(bundle, drafts)
        made = {graph: draft for graph, draft in drafts.items() if draft.is_file()}
        if made or before not in (None, FORMAT):
            replace_recorded(bundle, graphs, made, **format_keys(), upgraded_from=before)
    changed = tuple(graph.relative_to(bundle).as_posix() for graph in made)
    remember_hashes(bundle)
    return Upgrade(
        format_before=before,
        format=before and FORMAT,
        changed=changed,
        left=(*left, *_old_norms(bundle)),
    )


def upgrade_copy(bundle: Path, out: Path) -> Upgrade:
    """Write an upgraded copy of ``bundle`` to the new folder ``out``, without what was compiled for the old graphs.

    Raises ConfigError where ``out`` is not empty, or is in ``bundle``; BundleError for a link that leads out of
    ``bundle``; and as ``upgrade_bundle``.
    """
    if out.resolve().is_relative_to(bundle.resolve()):
        raise ConfigError(f"{out} is in the bundle itself: choose another place")
    with whole_folder(out) as folder:
        _copy(bundle, folder)
        upgrade = upgrade_bundle(folder)
    remember_hashes(out)
    return upgrade


def _denoisers(bundle: Path) -> Iterator[Path]:
    """The graphs that take a timestep. The UNet's model.onnx is last: it says which timesteps a bundle takes."""
    folders = [graph.parent for graph in graphs_of(bundle) if component_named(graph.parent.name).each_step]
    for folder in reversed(folders):
        for name in (STEP_MODEL, SHALLOW_MODEL, FP32_MODEL, MODEL):
            if (folder / name).is_file():
                yield folder / name


@contextmanager
def _drafts(graphs: Iterable[Path]) -> Iterator[dict[Path, Path]]:
    """A name for a draft of each graph, beside its weights, which ONNX Runtime reads from the graph's folder only."""
    drafts = {graph: graph.with_name(f".upgrade.{graph.name}") for graph in graphs}
    _remove(drafts.values())  # a process that was killed left them
    try:
        yield drafts
    finally:
        _remove(drafts.values())


def _remove(drafts: Iterable[Path]) -> None:
    for draft in drafts:
        draft.unlink(missing_ok=True)


def _write_drafts(bundle: Path, drafts: Mapping[Path, Path]) -> list[str]:
    """Write a draft of each graph that has an int64 timestep; or none, and the reason, where one of them keeps it."""
    for graph, draft in drafts.items():
        check_onnx_file(graph, bundle)
        model = load_graph(graph)
        if not takes_whole_timesteps(model):
            continue
        try:
            take_real_timesteps(model)
        except ExportError as error:
            _remove(drafts.values())
            return [f"{graph.relative_to(bundle).as_posix()}: {error}"]
        ir.save(model, draft)
        check_same_at_whole_timesteps(graph, draft)
    return []


def _old_norms(bundle: Path) -> Iterator[str]:
    """A sentence for each graph whose norms the exporter writes otherwise today."""
    for graph in graphs_of(bundle):
        if operators(graph)[_NORM] and load_graph(graph).opset_imports.get("", 0) >= _FIRST_WITHOUT_NORM:
            name = graph.relative_to(bundle).as_posix()
            yield f"{name}: CUDA has no kernel for its {_NORM}, which runs on the CPU: export the model again"


def _copy(bundle: Path, out: Path) -> None:
    """Copy all files but the compiled ones. A link to another place could bring a private file into the copy."""
    places = bundle.resolve(), huggingface_blobs(bundle) or bundle.resolve()
    for path in sorted(bundle.rglob("*")):
        name = path.relative_to(bundle)
        if name.parts[0] == _COMPILED:
            continue
        if not any(path.resolve().is_relative_to(place) for place in places):
            raise BundleError(f"{path} is a link out of the bundle: replace it by the file")
        with output_errors(out / name):
            (out / name).mkdir() if path.is_dir() else shutil.copyfile(path, out / name)
