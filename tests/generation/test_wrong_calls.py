"""Wrong calls of the Python API: a named error with what to write, not Python's own."""

from typing import Any

import numpy as np
import pytest

import ddim_edge


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return ddim_edge.load("fashion-mnist", provider="cpu")


@pytest.mark.parametrize("method", ["generate", "request"])
def test_a_value_without_a_name(pipeline: Any, method: str) -> None:
    with pytest.raises(
        ddim_edge.ConfigError, match=r"'a fox' has none: write for instance labels=\['t-shirt'\]"
    ) as failed:
        getattr(pipeline, method)("a fox")
    assert isinstance(failed.value, TypeError)


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"labels": 3}, "labels must be a list of class names or numbers, not 3"),
        ({"sampler": 3}, "sampler must be a name, such as 'ddim', or a config"),
        ({"sampler": {"_class_name": "DDIMScheduler"}}, "sampler must be a name"),
        ({"sampler": "DDIMScheduler"}, "is called 'ddim' here"),
        ({"origin": "one.png"}, "origin must be an Origin, such as Origin"),
        ({"origin": np.zeros((1, 1, 28, 28))}, "origin must be an Origin"),
        ({"image": "one.png"}, "give origin=Origin"),
    ],
)
def test_a_wrong_value(pipeline: Any, options: dict[str, Any], answer: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=answer):
        pipeline.generate(**options)


def test_one_picture_in_the_place_of_a_list(pipeline: Any) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=r"such as \['one.png'\]"):
        ddim_edge.encode(pipeline, "one.png")


def test_a_path_in_the_place_of_latents(pipeline: Any) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=r"what read_latents or encode returns, not 'lat\.npz'"):
        ddim_edge.from_latents(pipeline, "lat.npz")  # type: ignore[arg-type]
