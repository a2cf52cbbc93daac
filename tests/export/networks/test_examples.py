# ruff: noqa: ARG002
"""Example inputs and shapes of samples: what is taken, and what is refused before anything is traced."""

from typing import Any

import numpy as np
import pytest
import torch

from ddim_edge.errors import ConfigError
from ddim_edge_export.networks.examples import module_signature, read_examples, read_sizes


class Policy(torch.nn.Module):
    """Takes what a diffusion policy's denoiser takes."""

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        local_cond: torch.Tensor | None = None,
        global_cond: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return sample


class Needy(torch.nn.Module):
    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
        return sample


class Anything(torch.nn.Module):
    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, **rest: torch.Tensor) -> torch.Tensor:
        return sample


def test_examples_are_arrays_of_one_batch() -> None:
    given = {"global_cond": torch.zeros(2, 3, requires_grad=True), "local_cond": np.zeros((2, 4), np.float64)}
    examples = read_examples(Policy(), given)
    assert {name: (array.dtype, array.shape) for name, array in examples.items()} == {
        "global_cond": (np.float32, (2, 3)),
        "local_cond": (np.float32, (2, 4)),
    }
    assert set(read_examples(Anything(), {"whatever": [1, 2]})) == {"whatever"}


@pytest.mark.parametrize(
    ("module", "inputs", "message"),
    [
        (Policy(), {"globl_cond": [1.0]}, "Policy takes no 'globl_cond': .* it takes global_cond, local_cond"),
        (Policy(), {"global_cond": 1.0}, r"global_cond has the shape \(\): its first axis must be a batch"),
        (Policy(), {"global_cond": np.zeros((0, 3))}, "must be a batch of 1 or more rows"),
        (
            Policy(),
            {"global_cond": np.zeros(66), "local_cond": np.zeros((2, 4))},
            r"the first axis of each is the batch, .* global_cond \(66,\), local_cond \(2, 4\)",
        ),
        (Policy(), {"global_cond": ["a"]}, "must be numbers, not <U1"),
        (Policy(), {"sample": np.zeros((1, 2))}, "sample is drawn at random"),
        (Needy(), {}, "Needy takes goal, too: give an example of each by its name in inputs"),
    ],
)
def test_examples_that_are_refused(module: torch.nn.Module, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_examples(module, inputs)


@pytest.mark.parametrize(
    ("config", "sizes", "message"),
    [
        ({"sample_shape": [16, 2]}, [(1, 16, 2)], r"sizes: \(1, 16, 2\) has 3 axes, and sample_shape has 2: \(16, 2\)"),
        ({}, [(16, 2), (16,)], r"sizes: \(16,\) has 1 axes, and the first of them has 2"),
        ({"sample_shape": [16, 2]}, [(8, 2)], r"sizes: sample_shape \(16, 2\) must be among them"),
        ({}, [], "sizes is empty"),
        ({}, [(16, 0)], r"sizes: the shape of a sample is whole numbers of at least 1.*, not \(16, 0\)"),
        ({}, [16], "sizes: the shape of a sample is whole numbers"),
        ({"sample_shape": "16x2"}, None, "sample_shape: the shape of a sample"),
    ],
)
def test_sizes_that_are_refused(config: dict[str, Any], sizes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_sizes(config, sizes)


def test_one_size_has_no_free_axis_and_two_have() -> None:
    assert read_sizes({}, None) is None
    assert read_sizes({"sample_shape": [16, 2]}, None) == ((16, 2),)
    assert read_sizes({"sample_shape": [16, 2]}, [(8, 2), [16, 2]]) == ((16, 2), (8, 2))
    one = module_signature({}, {}, [(16, 2)])
    assert (one.inputs[0].axes, one.outputs["out_sample"], one.sizes) == (("batch", 16, 2), ("batch", 16, 2), ({},))
    two = module_signature({}, {}, [(16, 2), (8, 2)], ("time", "action"))
    assert two.inputs[0].axes == two.outputs["out_sample"] == ("batch", "time", 2)
    assert two.sizes == ({"time": 16}, {"time": 8})
    image = module_signature({}, {}, [(3, 8, 8)])
    assert image.outputs["out_sample"] == ("batch", None, 8, 8)


def test_examples_are_drawn_as_rows_of_the_example() -> None:
    examples = read_examples(Anything(), {"state": np.array([[1, 0], [3, 4]], np.float32), "kind": np.array([5, 7])})
    signature = module_signature({}, examples, [(4, 2)])
    assert signature.names == ("sample", "timestep", "state", "kind")
    drawn = signature.draw(5, {}, seed=1)
    assert drawn["state"].shape == (5, 2)
    assert drawn["state"].dtype == np.float32
    assert set(drawn["kind"].tolist()) == {5, 7}
    rows = drawn["state"]
    assert len(np.unique(rows, axis=0)) == 5
    assert all(row[1] == 0 or row[1] / row[0] == pytest.approx(4 / 3) for row in rows)
