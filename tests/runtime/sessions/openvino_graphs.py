"""Graphs for OpenVINO's own runtime, and what they are fed."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser

import ddim_edge
from ddim_edge.runtime.providers.device import Device
from ddim_edge.runtime.sessions.openvino_graph import OpenVinoGraph

Feeds = dict[str, np.ndarray[Any, Any]]


def make_feeds(rows: int = 2) -> Feeds:
    rng = np.random.default_rng(rows)
    return {
        "sample": rng.standard_normal((rows, 1, 8, 8), np.float32),
        "timestep": np.arange(rows) * 10,
        "class_labels": np.arange(rows),
    }


def save_graph(tmp_path: Path, text: str) -> Path:
    onnx.save(onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 18]> {text}'), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def open_graph(graph: Path, device: str = "openvino", **options: Any) -> OpenVinoGraph:
    opened = ddim_edge.Session(graph, Device.parse(device, **options)).raw
    assert isinstance(opened, OpenVinoGraph)
    return opened
