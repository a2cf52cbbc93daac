"""Warming up uses every shape that will come up, often enough, and leaves no trace in the images."""

from pathlib import Path

import numpy as np
import pytest

import ddim_edge
from ddim_edge.generation.requests.option_table import Options
from ddim_edge.generation.warmup import default_requests, warm_up, warm_up_calls
from tests.helpers.command_line import Invoke


def test_every_batch_size_of_the_request_is_called_and_counted(tiny_bundle: Path) -> None:
    pipeline = ddim_edge.load(tiny_bundle, "cpu")
    rows: list[int] = []
    pipeline.denoiser.on_call = lambda count, _seconds: rows.append(count)
    request = pipeline.request(num_images=7, batch_size=3, num_steps=40)
    told: list[None] = []
    warm_up(pipeline, request, lambda: told.append(None))
    assert rows == ([3] * 6 + [1] * 6) * 2
    assert len(told) == warm_up_calls(request) == len(rows)


def test_the_images_are_the_same_afterwards(tiny_bundle: Path) -> None:
    cold, warm = (ddim_edge.load(tiny_bundle, "cpu") for _ in range(2))
    options: Options = {"num_images": 3, "num_steps": 9, "guidance_scale": 2.0, "eta": 1.0}
    warm_up(warm, warm.request(**options))
    np.testing.assert_array_equal(cold.generate(**options).images, warm.generate(**options).images)


def test_a_short_request_is_warmed_up_with_its_own_steps(tiny_bundle: Path) -> None:
    pipeline = ddim_edge.load(tiny_bundle, "cpu")
    assert warm_up_calls(pipeline.request(num_images=1, num_steps=2)) == 4


@pytest.mark.parametrize(("most", "batches"), [(1, [1]), (2, [1, 2]), (16, [1, 2, 4, 8, 16]), (11, [1, 2, 4, 8])])
def test_a_server_s_batches_are_powers_of_two(tiny_bundle: Path, most: int, batches: list[int]) -> None:
    pipeline = ddim_edge.load(tiny_bundle, "cpu")
    assert [request.num_images for request in default_requests(pipeline, most)] == batches


def test_the_shallow_graph_is_opened_for_a_request_that_uses_it(deep_bundle: Path) -> None:
    """A server's requests before the first real one are the model's defaults, which have no cache."""
    pipeline = ddim_edge.load(deep_bundle, "cpu")
    shallow: list[int] = []
    pipeline.denoiser.on_shallow_call = lambda count, _seconds: shallow.append(count)
    for request in default_requests(pipeline, 4):
        warm_up(pipeline, request)
    assert shallow == []
    warm_up(pipeline, pipeline.request(num_images=2, num_steps=40, cache="deep:5"))
    assert shallow == [2, 2, 2] * 2


def test_the_command_warms_up_and_makes_its_image(invoke: Invoke, tiny_bundle: Path, tmp_path: Path) -> None:
    outcome = invoke("run", tiny_bundle, "-n", 1, "--warmup", "-o", "warm.png")
    assert outcome.code == 0
    assert invoke("run", tiny_bundle, "-n", 1, "-o", "cold.png").code == 0
    assert (tmp_path / "warm.png").read_bytes() == (tmp_path / "cold.png").read_bytes()
