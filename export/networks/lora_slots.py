"""LoRA slots in a network: every linear layer and every 1x1 convolution adds the low-rank changes of several adapters.

With x the layer's input, W its weight, and for each row b a weight w[b, k] of each rank k of all adapters::

    y = W x + up · (w[b] ∘ (down · x))

``down`` and ``up`` are inputs of the graph, with the ranks of all adapters one behind the other, so rows with different
adapters share a call, and an empty bank has no ranks. Larger convolutions have no slots: docs/lora.md says why.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.functional import conv2d

from ddim_edge.bundle.layout import LORA_COLUMNS, LORA_DOWN, LORA_UP, LORA_WEIGHTS
from ddim_edge.bundle.lora_slots import LoraSlots

from .network import Network
from .signature import Axes, Input, Signature, Sizes, scaled_normal

_SCALE = 0.05
"""Of random matrices: a change of the size that training makes."""
_FEW_COLUMNS = 5
Layer = torch.nn.Linear | torch.nn.Conv2d
_Given = dict[str, torch.Tensor]


def with_slots(network: Network, slots: LoraSlots) -> Network:
    """The network with the inputs of ``slots``. Its module gets hooks, which need these inputs from then on."""
    given: _Given = {}
    layers = {name: part for name, part in network.module.named_modules() if _has_slots(part)}
    for name, layer in layers.items():
        layer.register_forward_hook(_hook(given, name))

    def call(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        given.update(inputs)
        others = {name: value for name, value in inputs.items() if name in network.signature.names}
        try:
            return network.call(module, others)
        finally:
            given.clear()

    return dataclasses.replace(network, call=call, signature=_signature(network.signature, layers, slots))


def _has_slots(part: torch.nn.Module) -> bool:
    if isinstance(part, torch.nn.Conv2d):
        return part.kernel_size == (1, 1) and part.groups == 1
    return isinstance(part, torch.nn.Linear)


def _hook(given: _Given, name: str) -> Callable[[torch.nn.Module, tuple[Any, ...], torch.Tensor], torch.Tensor]:
    def add(layer: torch.nn.Module, arguments: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        (x, *_) = arguments
        down, up, weights = (given[key].to(x.dtype) for key in (LORA_DOWN + name, LORA_UP + name, LORA_WEIGHTS))
        if isinstance(layer, torch.nn.Conv2d):
            return output + conv2d(conv2d(x, down, stride=layer.stride) * weights[:, :, None, None], up)
        for _ in range(x.ndim - 2):
            weights = weights.unsqueeze(1)
        added: torch.Tensor = ((x @ down) * weights) @ up
        return output + added

    return add


def _signature(signature: Signature, layers: Mapping[str, torch.nn.Module], slots: LoraSlots) -> Signature:
    fixed = signature.batch is not None
    columns: int | str = slots.columns if fixed else LORA_COLUMNS
    inputs = [Input(name=LORA_WEIGHTS, axes=(signature.batch or "batch", columns))]
    for name, layer in layers.items():
        down, up = _axes(layer, columns)
        inputs += [
            Input(name=LORA_DOWN + name, axes=down, draw=scaled_normal(_SCALE)),
            Input(name=LORA_UP + name, axes=up, draw=scaled_normal(_SCALE)),
        ]
    sizes = signature.sizes if fixed else _with_columns(signature.sizes, slots)
    return dataclasses.replace(signature, inputs=(*signature.inputs, *inputs), sizes=sizes)


def _with_columns(sizes: tuple[Sizes, ...], slots: LoraSlots) -> tuple[Sizes, ...]:
    """Two sizes at least, of the fullest bank and of a small one."""
    each = sizes if len(sizes) > 1 else sizes * 2
    lengths = (slots.columns, *[_FEW_COLUMNS] * (len(each) - 1))
    return tuple({**size, LORA_COLUMNS: length} for size, length in zip(each, lengths, strict=True))


def _axes(layer: torch.nn.Module, columns: int | str) -> tuple[Axes, Axes]:
    """The axes of the matrices: of a convolution as its weights are, of a linear layer as x is multiplied by them."""
    assert isinstance(layer, Layer)
    if isinstance(layer, torch.nn.Conv2d):
        return (columns, layer.in_channels, 1, 1), (layer.out_channels, columns, 1, 1)
    return (layer.in_features, columns), (columns, layer.out_features)
