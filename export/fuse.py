"""Writes unet_step.onnx beside model.onnx: the UNet with guidance and the DDIM step as nodes of its graph.

    python -m ddim_edge_export.fuse BUNDLE

adds it to an existing bundle. Needs no PyTorch.
"""

import sys
import tempfile
from pathlib import Path

from onnxscript import ir

from ddim_edge.bundle.format import read_format
from ddim_edge.bundle.layout import MODEL, STEP_MODEL, UNET
from ddim_edge.errors import DdimEdgeError, OutputError

from .graph.fused_step import add_step
from .output.record import recorded_files
from .unet_files import check_as_exported, load_graph, update_records
from .verify.fused_step import verify_step

_DATA_NAME = f"{MODEL}_data"
_INLINE_BYTES = 1024
"""Constants up to this size in bytes stay in the graph's file: ONNX Runtime needs shapes and the like there."""


def fuse_step(unet_folder: Path) -> Path:
    """Write ``unet_step.onnx`` beside the ``model.onnx`` of ``unet_folder``, and return its path.

    Both share one file of weights. If model.onnx has its weights inside, they move to ``model.onnx_data``. Each file is
    replaced as a whole, the graph last, so that model.onnx can be opened at any time. ``graph/fused_step.py`` has the
    equations. ExportError for a graph that cannot have a step; OutputError where nothing can be written.
    """
    model = load_graph(unet_folder / MODEL)
    try:
        with tempfile.TemporaryDirectory(prefix=".step.", dir=unet_folder) as temporary:
            return _write(model, Path(temporary), unet_folder)
    except OSError as error:
        raise OutputError(f"cannot write into {unet_folder}: {error.strerror}; choose another place") from None


def fuse_bundle(bundle: Path) -> Path:
    """``fuse_step`` for a finished bundle: verifies the graph and updates export.json. Returns the new graph's path.

    BundleError for a UNet whose hash differs from export.json: the updated hashes would hide that.
    """
    read_format(bundle)  # which refuses a newer one
    unet = bundle / UNET.name
    if _is_recorded(bundle):
        check_as_exported(bundle)
    step = fuse_step(unet)
    try:
        verify_step(unet / MODEL, step)
    except BaseException:
        step.unlink()
        raise
    finally:
        update_records(bundle, fuse_step=step.is_file())
    return step


def _is_recorded(bundle: Path) -> bool:
    """Whether export.json describes the files: an earlier call may have been interrupted before it wrote the hashes."""
    return not (bundle / UNET.name / STEP_MODEL).is_file() or f"{UNET.name}/{STEP_MODEL}" in recorded_files(bundle)


def _write(model: ir.Model, temporary: Path, folder: Path) -> Path:
    """Write the files to ``temporary``, an empty folder, and move them to ``folder``."""
    made = [_DATA_NAME, STEP_MODEL, MODEL] if _has_weights_inside(model) else [STEP_MODEL]
    if MODEL in made:
        ir.save(model, temporary / MODEL, external_data=_DATA_NAME, size_threshold_bytes=_INLINE_BYTES)
        model = ir.load(temporary / MODEL)
        # A unet_step.onnx of an earlier model would read the new weights.
        (folder / STEP_MODEL).unlink(missing_ok=True)
    add_step(model)
    ir.save(model, temporary / STEP_MODEL)
    for name in made:
        (temporary / name).replace(folder / name)
    return folder / STEP_MODEL


def _has_weights_inside(model: ir.Model) -> bool:
    """Whether the weights are in the graph's own file, not in a file beside it."""
    tensors = [value.const_value for value in model.graph.initializers.values() if value.const_value is not None]
    if any(isinstance(tensor, ir.ExternalTensor) for tensor in tensors):
        return False
    return any(tensor.nbytes > _INLINE_BYTES for tensor in tensors)


def main(arguments: list[str]) -> int:
    """The command line: prints the path of the new graph, or an error in one line. Returns the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m ddim_edge_export.fuse BUNDLE", file=sys.stderr)
        return 2
    try:
        print(fuse_bundle(Path(arguments[0])))
    except DdimEdgeError as error:
        print(f"ddim-edge: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
