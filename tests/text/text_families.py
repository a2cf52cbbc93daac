"""Pipelines of diffusers, and the text sides of their bundles, to compare with each other."""

from typing import Any, NamedTuple

import numpy as np
import torch

from ddim_edge.arrays import Conditioning
from ddim_edge.runtime.sessions.tensors import TensorInfo
from ddim_edge.text import Prompt, SizeHints, TextEncoder

from .tiny_pipelines import POOLED

HINTS = SizeHints(target=(48, 64))
CLOSE = 1e-4


def unet_inputs(width: int, time_ids: int = 0) -> dict[str, TensorInfo]:
    infos = {"sample": ("batch", 4, "height", "width"), "timestep": ("batch",)}
    infos["encoder_hidden_states"] = ("batch", "sequence", width)
    if time_ids:
        infos |= {"text_embeds": ("batch", POOLED), "time_ids": ("batch", time_ids)}
    return {name: TensorInfo(name, np.dtype(np.float32), shape) for name, shape in infos.items()}


class Family(NamedTuple):
    """A pipeline and the text side of its bundle."""

    pipeline: Any
    encoder: TextEncoder
    modules: tuple[Any, ...]


def encoded(family: Family, prompt: Prompt) -> list[Conditioning]:
    conditions = family.encoder.encode(prompt, HINTS)
    assert conditions.unconditional is not None
    return [conditions.conditioning, conditions.unconditional]


def assert_close(found: Conditioning, wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].dtype == np.float32
        assert found[name].shape == tuple(tensor.shape), name
        np.testing.assert_allclose(found[name], tensor.numpy(), atol=CLOSE, rtol=0, err_msg=name)
