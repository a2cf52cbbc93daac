"""Wrong calls of the Python API: a named error with what to write, not Python's own."""

import inspect
import re
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.generation.requests.positional import LOAD_OPTIONS


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


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"device": "cuda"}, "load has no option 'device': it is called provider here"),
        ({"torch_dtype": "float16"}, "load has no option 'torch_dtype': it is called precision here"),
        ({"low_mem": True}, "load has no option 'low_mem': did you mean low_memory?"),
        ({"xyz": 1}, "load has no option 'xyz': the options are model, provider, "),
    ],
)
def test_an_unknown_option_of_load(options: dict[str, Any], answer: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=re.escape(answer)):
        ddim_edge.load(**options)


def test_the_options_of_load_are_those_of_its_signature() -> None:
    names = [name for name, one in inspect.signature(ddim_edge.load).parameters.items() if one.kind != one.VAR_KEYWORD]
    assert tuple(names) == LOAD_OPTIONS


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"num_train_timesteps": 500}, "ddim has no option 'num_train_timesteps': it is called num_train_steps here"),
        ({"clip_sample": False}, "ddim has no option 'clip_sample': it is called clip_denoised_sample here"),
        ({"etta": 1.0}, "ddim option 'etta' is unknown. Did you mean 'eta'?"),
        ({"solver_order": 3}, "ddim option 'solver_order' is unknown."),
    ],
)
def test_an_unknown_option_of_a_sampler(options: dict[str, Any], answer: str) -> None:
    for make in (ddim_edge.DdimConfig, ddim_edge.DdimConfig().replace):
        with pytest.raises(ddim_edge.ConfigError, match=re.escape(answer)):
            make(**options)
