"""Bundles with LoRA slots, of a network that NumPy computes, too: a 1x1 convolution and two linear layers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

from .tiny_bundles import Array, write_bundle, write_json

SHAPES: Mapping[str, tuple[int, ...]] = {"proj": (3, 3, 1, 1), "wide": (5, 3), "back": (3, 5)}
"""The weights of its layers, as PyTorch has them."""
SLOTS, RANK = 2, 4
WEIGHTS: Mapping[str, Array] = {
    name: np.random.default_rng(at).standard_normal(shape).astype(np.float32)
    for at, (name, shape) in enumerate(SHAPES.items())
}


def prediction(sample: Array, timestep: float, weights: Mapping[str, Array] = WEIGHTS) -> Array:
    """What the network returns for one row, (1, 3, H, W)."""
    mixed = np.einsum("oi,bihw->bhwo", weights["proj"][:, :, 0, 0], sample)
    hidden = np.tanh(mixed @ weights["wide"].T) @ weights["back"].T
    made: Array = (hidden.transpose(0, 3, 1, 2) + 0.001 * timestep).astype(np.float32)
    return made


def with_changes(changes: Mapping[str, Array], scale: float = 1.0) -> dict[str, Array]:
    """The weights with a LoRA's changes added at ``scale``."""
    return {name: weight + np.float32(scale) * changes.get(name, 0) for name, weight in WEIGHTS.items()}


def lora_model(*, slots: bool = True) -> onnx.ModelProto:
    """The graph, with the inputs of LoRA slots or without."""
    inputs = ["float[batch, 3, height, width] sample", "float[batch] timestep"]
    if slots:
        inputs += [
            "float[batch, lora_columns] lora_weights",
            "float[lora_columns, 3, 1, 1] down_proj, float[3, lora_columns, 1, 1] up_proj",
            "float[3, lora_columns] down_wide, float[lora_columns, 5] up_wide",
            "float[5, lora_columns] down_back, float[lora_columns, 3] up_back",
        ]
    lines = ["shift = Mul(timestep, slope)", "column = Reshape(shift, four)"]
    if slots:
        lines += ["flat = Unsqueeze(lora_weights, one)", "tall = Unsqueeze(lora_weights, sides)"]
    lines += _layer("proj", "sample", "Conv(sample, w_proj)", slots=slots)
    lines += ["pixels = Transpose<perm = [0, 2, 3, 1]>(proj)", "whole = Shape(pixels)"]
    lines += ["tokens = Reshape(pixels, three)", *_layer("wide", "tokens", "MatMul(tokens, w_wide)", slots=slots)]
    lines += ["curved = Tanh(wide)", *_layer("back", "curved", "MatMul(curved, w_back)", slots=slots)]
    lines += ["again = Reshape(back, whole)", "image = Transpose<perm = [0, 3, 1, 2]>(again)"]
    model = onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 18]>
        unet ({", ".join(inputs)}) => (float[batch, 3, height, width] out_sample)
        <float slope = {{0.001}}, int64[4] four = {{-1, 1, 1, 1}}, int64[1] one = {{1}}, int64[2] sides = {{2, 3}},
         int64[3] three = {{0, -1, 3}}>
        {{ {chr(10).join([*lines, "out_sample = Add(image, column)"])} }}"""
    )
    for name, weight in WEIGHTS.items():
        stored = weight if weight.ndim == 4 else weight.T
        model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(stored), f"w_{name}"))
    _rename(model.graph)
    return model


def write_lora_bundle(folder: Path, *, slots: bool = True, external: bool = False) -> Path:
    """Write such a bundle, with the class-less DDIM scheduler and an export.json. Returns ``folder``."""
    write_bundle(folder, lora_model(slots=slots), labels=None, external=external)
    config: dict[str, Any] = {"in_channels": 3, "sample_size": 4}
    write_json(folder / "unet/config.json", {**config, **({"lora_slots": SLOTS, "lora_rank": RANK} if slots else {})})
    write_json(folder / "export.json", {"files": {"unet/model.onnx": {}}})
    return folder


def changes_of(seed: int, rank: int, layers: tuple[str, ...] = tuple(SHAPES)) -> dict[str, tuple[Array, Array]]:
    """Random matrices up and down of some layers, as trainers store them."""
    random = np.random.default_rng(seed)

    def half(*shape: int) -> Array:
        return random.standard_normal(shape).astype(np.float32)

    return {name: (half(SHAPES[name][0], rank, *SHAPES[name][2:]), half(rank, *SHAPES[name][1:])) for name in layers}


def product(matrices: tuple[Array, Array]) -> Array:
    """The change of the weight: up @ down."""
    up, down = matrices
    change: Array = np.einsum("or,r...->o...", up.reshape(len(up), -1), down)
    return change


def _layer(name: str, value: str, layer: str, *, slots: bool) -> list[str]:
    """A layer with what its slots add; of a convolution, they are convolutions, too."""
    if not slots:
        return [f"{name} = {layer}"]
    operator, each = ("Conv", "tall") if name == "proj" else ("MatMul", "flat")
    return [
        f"plain_{name} = {layer}",
        f"low_{name} = {operator}({value}, down_{name})",
        f"mixed_{name} = Mul(low_{name}, {each})",
        f"high_{name} = {operator}(mixed_{name}, up_{name})",
        f"{name} = Add(plain_{name}, high_{name})",
    ]


def _rename(graph: onnx.GraphProto) -> None:
    """Give inputs and weights the names that the exporter gives them, which the parser does not take."""
    names = {f"{half}_{layer}": f"lora_{half}.{layer}" for layer in SHAPES for half in ("down", "up")}
    for layer, shape in SHAPES.items():
        names[f"w_{layer}"] = f"network.{layer}.weight{'.transposed' if len(shape) == 2 else ''}"
    for value in (*graph.input, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
