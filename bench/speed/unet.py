"""The bundled model's UNet, opened by ddim-edge or by ONNX Runtime with its defaults."""

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import ddim_edge

from . import Subject


def graph_of(subject: Subject) -> str:
    """The path of the UNet's graph."""
    return str(subject.bundle / "unet" / "model.onnx")


def open_unet(graph: str, *, ours: bool, each_step: bool = True) -> Callable[[], Any]:
    """A function that calls the network for one image; ``each_step`` is the option of ``ddim_edge.Session``."""
    sample = np.random.default_rng(0).standard_normal((1, 1, 32, 32), dtype=np.float32)
    feeds = {"sample": sample, "timestep": np.array([500]), "class_labels": np.array([0])}
    if ours:
        return partial(ddim_edge.Session(Path(graph), "cpu", each_step=each_step).run, feeds)
    onnxruntime: Any = importlib.import_module("onnxruntime")
    return partial(onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run, None, feeds)
