"""A request's step cache: what a model does not allow, and the calls of an image."""

from dataclasses import replace
from pathlib import Path

import pytest

from ddim_edge.bundle.bundle import Bundle
from ddim_edge.bundle.control_config import ControlConfig
from ddim_edge.bundle.read import open_bundle
from ddim_edge.errors import ConfigError
from ddim_edge.generation.requests.options import request_of
from ddim_edge.generation.requests.request import Request
from ddim_edge.generation.requests.step_cache import check_cache, image_calls


@pytest.fixture(scope="module")
def controlled(deep_bundle: Path) -> Bundle:
    """A model with a shallow graph, and with a ControlNet beside it."""
    return replace(open_bundle(deep_bundle), name="controlled", controls=(ControlConfig("controlnet"),))


def request(bundle: Bundle, cache: str) -> Request:
    return request_of(replace(bundle, controls=()), {"num_steps": 20, "sampler": "ddim", "cache": cache})


def test_a_deep_cache_is_refused_with_a_controlnet_and_a_forecast_is_not(controlled: Bundle) -> None:
    check_cache(controlled, request(controlled, "forecast:2"))
    message = "cache deep:2 does not work with ControlNets, and controlled has one: take forecast"
    with pytest.raises(ConfigError, match=message):
        check_cache(controlled, request(controlled, "deep:2"))


def test_the_calls_of_an_image(controlled: Bundle) -> None:
    assert image_calls(request(controlled, "deep:2"), 10) == (10, 10)
    assert image_calls(request(controlled, "off"), 20) == (20, 0)
