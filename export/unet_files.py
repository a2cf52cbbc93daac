"""The files of a finished UNet: reads its graph, and keeps the hashes in export.json right. Needs no PyTorch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onnxscript import ir

from ddim_edge.bundle.layout import EXPORT_RECORD, MODEL, SHALLOW_MODEL, STEP_MODEL, UNET
from ddim_edge.config import read_json
from ddim_edge.errors import BundleError, ExportError

from .output.record import file_entry, recorded_files, remember_hashes, update_hashes


def load_graph(path: Path) -> ir.Model:
    """Read a graph. ExportError where it is none."""
    try:
        return ir.load(path)
    except FileNotFoundError:
        raise ExportError(f"{path} is not there: give a folder with a UNet's graph") from None
    except Exception as error:  # protobuf's errors share no public base
        raise ExportError(f"{path} is not an ONNX graph: {error}") from None


def check_as_exported(bundle: Path) -> None:
    """BundleError for a UNet whose hash differs from export.json: the updated hashes would hide that."""
    for name, entry in recorded_files(bundle).items():
        if name.startswith(f"{UNET.name}/") and (bundle / name).is_file() and file_entry(bundle / name) != entry:
            raise BundleError(f"{bundle / name} is not the file that was exported: copy or export it again")


def update_records(bundle: Path, verification: dict[str, Any] | None = None, **facts: Any) -> None:
    """Update the hashes of the UNet's files in export.json; and ``facts``, and parts of its ``verification``."""
    unet = bundle / UNET.name
    files = list(_files_of(unet))
    for folder, changed in ((unet, files), (bundle, [*files, unet / EXPORT_RECORD])):
        update_hashes(folder, changed, **facts, **_verification(folder, verification))
    remember_hashes(unet)


def _verification(folder: Path, added: dict[str, Any] | None) -> dict[str, Any]:
    if not added or not (folder / EXPORT_RECORD).is_file():
        return {}
    return {"verification": {**read_json(folder / EXPORT_RECORD).get("verification", {}), **added}}


def _files_of(unet: Path) -> Iterator[Path]:
    """The files of all graphs and of their weights."""
    yield from (unet / MODEL, unet / STEP_MODEL, unet / SHALLOW_MODEL)
    tensors = (value.const_value for value in ir.load(unet / MODEL).graph.initializers.values())
    yield from sorted({unet / tensor.location for tensor in tensors if isinstance(tensor, ir.ExternalTensor)})
