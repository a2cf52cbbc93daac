"""Writes a bundle as a model repository for Triton Inference Server.

::

    OUT/NAME/config.pbtxt        the Python model, which makes images
    OUT/NAME/1/model.py
    OUT/NAME/1/bundle/           the bundle's files
    OUT/NAME_unet/config.pbtxt   with ``graphs``: a model for each ONNX graph
    OUT/NAME_unet/1/model.onnx
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..bundle.bundle import Bundle
from ..bundle.layout import graphs_of
from ..errors import BundleError, ConfigError
from ..files import output_errors
from ..graphs.external_data import check_onnx_file
from ..images.encode import check_channels
from ..whole_folder import whole_folder
from .config_text import Enum, config_text
from .graph_config import graph_config

BUNDLE = "bundle"
"""The folder of the bundle, beside model.py."""
_VERSION = "1"
_MODEL = '''"""Makes images with the bundle beside this file. Needs ddim-edge with the extra serve, and cpu or gpu."""

from ddim_edge.triton.python_model import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''
_HEAD = "# Written by `ddim-edge export --triton`.\n"


def write_repository(bundle: Bundle, out: Path, *, graphs: bool = False) -> list[str]:
    """Write the repository to the new folder ``out``; returns the names of its models.

    It is there whole or not at all. Files of the bundle are hard links where the file system has them, else copies.
    ``graphs``: also a model for each graph of the bundle. Raises ConfigError for a bundle that the server does not
    support and for an ``out`` that is there already, BundleError for a broken graph, OutputError.
    """
    check_channels(bundle.image_shape()[0])
    if bundle.free_inputs:
        raise ConfigError(f"{bundle.name} takes conditioning by name, which Triton's Python model does not support")
    name = bundle.folder.resolve().name
    with whole_folder(out) as folder, output_errors(out):
        _write_python_model(bundle, folder / name)
        for graph in graphs_of(bundle.folder):
            check_onnx_file(graph, bundle.folder)
            if graphs:
                _write_graph(graph, bundle.folder, folder / f"{name}_{graph.parent.name}")
        return sorted(path.name for path in folder.iterdir())


def _write_python_model(bundle: Bundle, model: Path) -> None:
    version = model / _VERSION
    for file in _files(bundle.folder):
        _link(bundle.folder / file, version / BUNDLE / file)
    (version / "model.py").write_text(_MODEL, encoding="utf-8")
    _write_config(model, _engine_config(bundle))


def _files(folder: Path) -> list[Path]:
    """The files below ``folder``, relative to it, without hidden ones, such as those of Git."""
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in paths if not any(part.startswith(".") for part in path.parts)]


def _engine_config(bundle: Bundle) -> dict[str, Any]:
    """The ModelConfig of the Python model. It has no inputs: a request is made of parameters."""
    outputs = {"image": ("UINT8", [-1, -1, bundle.image_shape()[0]]), "recipe": ("UINT8", [-1])}
    outputs |= {"index": ("INT32", [1]), "final": ("BOOL", [1])}
    if bundle.has_safety_checker:
        outputs["is_safe"] = ("BOOL", [1])
    return {
        "backend": "python",
        "max_batch_size": 0,
        "model_transaction_policy": {"decoupled": True},
        "output": [
            {"name": name, "data_type": Enum(f"TYPE_{kind}"), "dims": dims} for name, (kind, dims) in outputs.items()
        ],
        "instance_group": [{"count": 1, "kind": Enum("KIND_MODEL")}],
        "parameters": [{"key": "provider", "value": {"string_value": "auto"}}],
    }


def _write_graph(graph: Path, root: Path, model: Path) -> None:
    version = model / _VERSION
    folder = Path(os.path.normpath(graph.parent))
    for file in (folder / graph.name, *check_onnx_file(graph, root)):
        if not file.is_relative_to(folder):
            raise BundleError(f"{graph} has weights in {file}: Triton finds weights only in the graph's own folder")
        _link(file, version / file.relative_to(folder))
    _write_config(model, graph_config(graph))


def _write_config(model: Path, config: Mapping[str, Any]) -> None:
    (model / "config.pbtxt").write_text(_HEAD + config_text(config), encoding="utf-8")


def _link(source: Path, target: Path) -> None:
    """A hard link to ``source``, or a copy where the file system has none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
