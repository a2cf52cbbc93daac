"""OpenVINO's runtime in a bare loop over our UNet: no sampler, no text, no autoencoder."""

import importlib
from typing import Any

import numpy as np

from .noted import Notes


def run(notes: Notes) -> None:
    """Call the network as often as the run has steps, with the rows that guidance makes."""
    openvino, asked = importlib.import_module("openvino"), notes.settings
    core = openvino.Core()
    network = core.read_model(notes.folder / "unet" / "model.onnx")
    feeds = _feeds(network, rows=2 if asked["guidance"] > 1 else 1)
    network.reshape({name: array.shape for name, array in feeds.items()})
    compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": asked["precision"]})
    request = compiled.create_infer_request()
    for _ in range(asked["steps"]):
        notes.begin()
        request.infer(feeds)
        notes.step()
    notes.write()


def _feeds(network: Any, *, rows: int) -> dict[str, Any]:
    """Random inputs of the network's own shapes; what is free there is the batch, 64 and a prompt's 77 tokens."""
    random, feeds = np.random.default_rng(0), {}
    for each in network.inputs:
        free = [rows, 77] if each.partial_shape.rank.get_length() == 3 else [rows, 4, 64, 64]
        sizes = [side.get_length() if side.is_static else free[at] for at, side in enumerate(each.partial_shape)]
        feeds[each.any_name] = random.standard_normal(sizes).astype(each.element_type.to_dtype())
    return feeds


if __name__ == "__main__":
    run(Notes())
