"""Adds LoRA files to the weights of a network before the export."""

from typing import Any

import torch

from ddim_edge.lora.trained import TrainedLora

from .diffusers_folder import Source


def check_targets(loras: tuple[TrainedLora, ...], source: Source) -> None:
    """ConfigError for a LoRA of a component that the source does not have."""
    for lora in loras:
        lora.check_components(source.graphs, source.folder)


def add_lora(module: torch.nn.Module, lora: TrainedLora, component: str) -> None:
    """Add a LoRA to the weights of one component. ConfigError for a key without a layer, or of another shape."""
    layers = {
        name: part.weight
        for name, part in module.named_modules()
        if isinstance(getattr(part, "weight", None), torch.Tensor)
    }
    shapes = {name: tuple(weight.shape) for name, weight in layers.items()}
    own: Any = module.config
    config = own if isinstance(own, dict) else own.to_dict()
    with torch.no_grad():
        for change in lora.changes(component, shapes, config):
            layers[change.layer] += torch.from_numpy(change.of_weight(lora.scale))
