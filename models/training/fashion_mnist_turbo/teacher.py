"""The teacher: the bundled model's network, read from its graph, and the images that it makes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from diffusers import UNet2DModel
from numpy.typing import NDArray
from onnx import numpy_helper

from ddim_edge.diffusion.guidance import guided_timesteps
from ddim_edge.diffusion.samplers import SamplerConfig, sampler_config, start

from ..fashion_mnist.data import NULL_CLASS
from ..fashion_mnist.train import make_unet
from ..recipe import scheduler_file

STEPS = 8
SOLVER = sampler_config(scheduler_file(num_steps=STEPS))
"""The teacher's own sampler: DPM-Solver++(2M) over Karras levels."""
GUIDANCE = 1.5
INTERVAL = (0.5, 3.0)
"""The noise levels between which it is guided: these gave the least Fréchet distance (bench/README.md)."""

Sample = NDArray[np.float32]
Predict = Callable[[Sample, int, torch.Tensor], Sample]
"""v of samples (N, 1, 28, 28) at a timestep for labels, int64 (N,)."""


def read_unet(graph: Path) -> UNet2DModel:
    """The network whose weights are those of the graph that our exporter wrote."""
    weights = {row.name: row for row in onnx.load(graph).graph.initializer}
    tensors = {name: torch.from_numpy(numpy_helper.to_array(row).copy()) for name, row in weights.items()}
    unet = make_unet()
    state = {name.removeprefix("unet."): value for name, value in tensors.items() if name.startswith("unet.")}
    state |= _group_norms(unet, tensors) | _attention(tensors)
    unet.load_state_dict(state)
    return unet.eval()


def _group_norms(unet: UNet2DModel, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Group norms have numbers in the graph, in the order in which they are run."""
    state: dict[str, torch.Tensor] = {}
    for number, name in enumerate(_order_of_norms(unet)):
        prefix = f"group_norm_{number}" if number else "group_norm"
        state |= {f"{name}.{kind}": tensors[f"{prefix}.{kind}"] for kind in ("weight", "bias")}
    return state


def _order_of_norms(unet: UNet2DModel) -> list[str]:
    names: list[str] = []

    def note(name: str) -> Callable[..., None]:
        return lambda *_: names.append(name)

    norms = [(name, part) for name, part in unet.named_modules() if isinstance(part, torch.nn.GroupNorm)]
    hooks = [part.register_forward_hook(note(name)) for name, part in norms]
    with torch.no_grad():
        unet(torch.zeros(1, 1, 28, 28), 0, class_labels=torch.zeros(1, dtype=torch.long))
    for hook in hooks:
        hook.remove()
    return names


def _attention(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The graph has the attention's matrices transposed and without names, in the order of their use."""
    unnamed = [name for name, value in tensors.items() if name.startswith("val_") and value.ndim == 2]
    ordered = sorted(unnamed, key=lambda name: int(name.removeprefix("val_")))
    parts = ("to_q", "to_k", "to_v", "to_out.0")
    return {
        f"mid_block.attentions.0.{part}.weight": tensors[name].T.contiguous()
        for part, name in zip(parts, ordered, strict=True)
    }


def guided(unet: Any, scale: float = GUIDANCE) -> Predict:
    """The teacher's prediction in bfloat16, guided between the levels of INTERVAL."""
    where = guided_timesteps(SOLVER, INTERVAL)
    assert where is not None  # that is for guidance at all levels
    network = unet.to(torch.bfloat16, memory_format=torch.channels_last)

    def rows(sample: torch.Tensor, timestep: int, labels: torch.Tensor) -> torch.Tensor:
        inputs = sample.to(torch.bfloat16, memory_format=torch.channels_last)
        prediction = network(inputs, timestep, class_labels=labels, return_dict=False)[0]
        return torch.as_tensor(prediction).float()

    @torch.no_grad()
    def predict(sample: Sample, timestep: int, labels: torch.Tensor) -> Sample:
        inputs = torch.from_numpy(sample)
        prediction = rows(inputs, timestep, labels)
        if timestep in where:
            without = rows(inputs, timestep, torch.full_like(labels, NULL_CLASS))
            prediction = without + scale * (prediction - without)
        return prediction.numpy()

    return predict


def images(
    predict: Predict, noise: Sample, labels: NDArray[np.int64], solver: SamplerConfig = SOLVER, steps: int = STEPS
) -> Sample:
    """The images, float32 (N, 1, 28, 28), of ``noise`` of this shape and of ``labels``, by the steps of ``solver``."""
    run, classes = start(solver, steps, noise), torch.from_numpy(labels)
    query = next(run)
    while True:
        try:
            query = run.send(predict(np.asarray(query.sample), int(query.timestep), classes))
        except StopIteration as finished:
            return np.asarray(finished.value, np.float32)
