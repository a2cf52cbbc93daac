"""Writes unet_step.onnx beside model.onnx: the UNet with guidance and the DDIM step as nodes of its graph.

    python -m ddim_edge_export.fuse BUNDLE

adds it to an existing bundle. Needs no PyTorch.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from onnxscript import ir

from ddim_edge.bundle.layout import EXPORT_RECORD, MODEL, STEP_MODEL
from ddim_edge.errors import BundleError, DdimEdgeError, ExportError, OutputError

from .graph.fused_step import add_step
from .output.record import file_entry, recorded_files, remember_hashes, update_hashes
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
    model = _load(unet_folder / MODEL)
    try:
        with tempfile.TemporaryDirectory(prefix=".step.", dir=unet_folder) as temporary:
            return _write(model, Path(temporary), unet_folder)
    except OSError as error:
        raise OutputError(f"cannot write into {unet_folder}: {error.strerror}; choose another place") from None


def fuse_bundle(bundle: Path) -> Path:
    """``fuse_step`` for a finished bundle: verifies the graph and updates export.json. Returns the new graph's path.

    BundleError for a UNet whose hash differs from export.json: the updated hashes would hide that.
    """
    unet = bundle / "unet"
    _check_hashes(bundle)
    step = fuse_step(unet)
    try:
        verify_step(unet / MODEL, step)
    except BaseException:
        step.unlink()
        raise
    finally:
        files = list(_files_of(unet))
        update_hashes(unet, files, fuse_step=step.is_file())
        update_hashes(bundle, [*files, unet / EXPORT_RECORD], fuse_step=step.is_file())
        remember_hashes(unet)
    return step


def _check_hashes(bundle: Path) -> None:
    hashes = recorded_files(bundle)
    if (bundle / "unet" / STEP_MODEL).is_file() and f"unet/{STEP_MODEL}" not in hashes:
        return  # an earlier call was interrupted before it wrote the new hashes
    for name, entry in hashes.items():
        if name.startswith("unet/") and (bundle / name).is_file() and file_entry(bundle / name) != entry:
            raise BundleError(f"{bundle / name} is not the file that was exported: copy or export it again")


def _files_of(unet: Path) -> Iterator[Path]:
    """The files of both graphs and of their weights."""
    yield from (unet / MODEL, unet / STEP_MODEL)
    tensors = (value.const_value for value in ir.load(unet / MODEL).graph.initializers.values())
    yield from sorted({unet / tensor.location for tensor in tensors if isinstance(tensor, ir.ExternalTensor)})


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


def _load(path: Path) -> ir.Model:
    try:
        return ir.load(path)
    except FileNotFoundError:
        raise ExportError(f"{path} is not there: give a folder with a UNet's graph") from None
    except Exception as error:  # protobuf's errors share no public base
        raise ExportError(f"{path} is not an ONNX graph: {error}") from None


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
