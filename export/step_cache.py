"""Writes shallow.onnx beside model.onnx: the UNet's outer blocks, which take what the inner ones gave at another step.

    python -m ddim_edge_export.step_cache BUNDLE [BRANCH]

adds it to an existing bundle. Needs no PyTorch.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onnxscript import ir

from ddim_edge.bundle.format import read_format
from ddim_edge.bundle.layout import DEEP_FEATURES, FP32_MODEL, MODEL, SHALLOW_MODEL, STEP_MODEL, UNET
from ddim_edge.errors import ConfigError, DdimEdgeError, OutputError, shown

from .fuse import fuse_step
from .graph.step_cache import add_deep_features, count_parameters, keep_shallow
from .unet_files import check_as_exported, load_graph, update_records
from .verify.fused_step import verify_step
from .verify.step_cache import StepCacheCheck, compare_shallow, run_whole


def add_step_cache(unet_folder: Path, branch: int = 0) -> StepCacheCheck:
    """Write ``shallow.onnx``, and give ``model.onnx`` of ``unet_folder`` the second output ``deep_features``.

    ``graph/step_cache.py`` says what a branch is. Both graphs share a file of weights, if there is one; otherwise the
    few weights of shallow.onnx are inside it. The files are replaced when both are verified, shallow.onnx last.
    ConfigError for a branch that the UNet does not have, and beside model.fp32.onnx; ExportError for a graph without
    deep features, or where shallow.onnx differs from model.onnx; OutputError where nothing can be written.
    """
    if (unet_folder / FP32_MODEL).is_file():
        raise ConfigError(
            f"{unet_folder / FP32_MODEL} replaces {MODEL} where fp16 fails, and returns no deep features: remove it"
        )
    model = load_graph(unet_folder / MODEL)
    add_deep_features(model, branch)
    try:
        with _drafts(unet_folder) as (whole, shallow):
            check = _write(model, branch, whole, shallow)
            # A shallow.onnx of another branch would take the new features.
            (unet_folder / SHALLOW_MODEL).unlink(missing_ok=True)
            whole.replace(unet_folder / MODEL)
            shallow.replace(unet_folder / SHALLOW_MODEL)
    except OSError as error:
        raise OutputError(f"cannot write into {unet_folder}: {error.strerror}; choose another place") from None
    return check


def add_to_bundle(bundle: Path, branch: int = 0) -> StepCacheCheck:
    """``add_step_cache`` for a finished bundle: makes its fused step again, if it has one, and updates export.json.

    BundleError for a UNet whose hash differs from export.json: the updated hashes would hide that.
    """
    read_format(bundle)  # which refuses a newer one
    unet = bundle / UNET.name
    if not _was_interrupted(unet):
        check_as_exported(bundle)
    check = add_step_cache(unet, branch)
    if (unet / STEP_MODEL).is_file():
        verify_step(unet / MODEL, fuse_step(unet))
    update_records(bundle, {"step_cache": check.to_json()}, step_cache=branch)
    return check


def _was_interrupted(unet: Path) -> bool:
    """Whether an earlier call was interrupted before it wrote everything."""
    outputs = (value.name for value in load_graph(unet / MODEL).graph.outputs)
    return DEEP_FEATURES in outputs and not (unet / SHALLOW_MODEL).is_file()


@contextmanager
def _drafts(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Names for both graphs beside the file of weights, which ONNX Runtime reads from the graph's own folder only."""
    drafts = folder / f".draft.{MODEL}", folder / f".draft.{SHALLOW_MODEL}"
    try:
        yield drafts
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


def _write(model: ir.Model, branch: int, whole: Path, shallow: Path) -> StepCacheCheck:
    """Write and verify both graphs. ``model`` becomes the shallow one."""
    ir.save(model, whole)
    calls = run_whole(whole, whole.parent)
    _declare_shape(model, channels=calls[0].features.shape[1])
    ir.save(model, whole)
    total = count_parameters(model)
    keep_shallow(model)
    ir.save(model, shallow)
    error, tolerance = compare_shallow(shallow, calls)
    return StepCacheCheck(branch, count_parameters(model) / total, error, tolerance)


def _declare_shape(model: ir.Model, channels: int) -> None:
    sample = next(value for value in model.graph.inputs if value.name == "sample")
    assert sample.shape is not None
    batch, _, height, width = sample.shape
    features = next(value for value in model.graph.outputs if value.name == DEEP_FEATURES)
    features.shape = ir.Shape([batch, channels, height, width])


def main(arguments: list[str]) -> int:
    """The command line: prints what was added, or an error in one line. Returns the exit code."""
    if not 1 <= len(arguments) <= 2 or arguments[0].startswith("-"):
        print("usage: python -m ddim_edge_export.step_cache BUNDLE [BRANCH]", file=sys.stderr)
        return 2
    try:
        check = add_to_bundle(Path(arguments[0]), _branch(*arguments[1:]))
    except DdimEdgeError as error:
        print(f"ddim-edge: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{Path(arguments[0]) / UNET.name / SHALLOW_MODEL}: {check.summary}")
    return 0


def _branch(text: str = "0") -> int:
    if not text.isdecimal():
        raise ConfigError(f"step cache: branch {shown(text)} is not a whole number from 0 on")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
