"""generation_config.json: the options that a model's author recommends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ddim_edge
from ddim_edge.bundle.defaults import Defaults
from ddim_edge.bundle.read import open_bundle
from ddim_edge.generation.requests.options import recipe_of, request_of
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import write_json

NewBundle = Callable[..., Path]


@pytest.fixture
def recommended(new_bundle: NewBundle) -> Path:
    folder = new_bundle()
    write_json(
        folder / "generation_config.json",
        {"num_steps": 7, "guidance_scale": 3, "height": 16, "width": 24, "max_length": 20},
    )
    return folder


def test_a_request_has_the_defaults_and_its_recipe_too(recommended: Path) -> None:
    bundle = open_bundle(recommended)
    recipe = recipe_of(bundle, request_of(bundle, {}))
    assert bundle.image_shape() == (1, 16, 24)
    assert {name: recipe[name] for name in ("num_steps", "guidance_scale", "height", "width")} == {
        "num_steps": 7,
        "guidance_scale": 3,
        "height": 16,
        "width": 24,
    }


def test_what_the_user_gives_wins(recommended: Path) -> None:
    bundle = open_bundle(recommended)
    request = request_of(bundle, {"num_steps": 9, "guidance_scale": 1, "height": 8})
    assert (request.num_steps, request.guidance_scale, request.height, request.width) == (9, 1, 8, 24)


def test_the_steps_are_for_the_own_sampler(recommended: Path) -> None:
    bundle = open_bundle(recommended)
    assert request_of(bundle, {"sampler": "euler"}).num_steps == 50


def test_run_takes_the_defaults(recommended: Path, invoke: Invoke) -> None:
    write_json(recommended / "generation_config.json", {"num_steps": 7, "guidance_scale": 3, "height": 8, "width": 8})
    outcome = invoke("run", recommended, "--num-images", 1, "--output", "x.png", "--json")
    assert outcome.code == 0, outcome.err
    recipe = json.loads(outcome.out)["recipe"]
    assert (recipe["height"], recipe["width"], recipe["num_steps"], recipe["guidance_scale"]) == (8, 8, 7, 3)


def test_the_emoji_model_is_guided_by_3() -> None:
    bundle = open_bundle(Path(__file__).parents[2] / "models" / "emoji")
    assert request_of(bundle, {"prompt": "cat face"}).guidance_scale == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_steps": 0}, "num_steps"),
        ({"num_steps": 2000}, "steps must be .* from 1 to 1000"),
        ({"guidance_scale": "high"}, "guidance_scale"),
        ({"guidance_scale": -1}, "guidance_scale"),
        ({"height": 10**6}, "height"),
        ({"negative_prompt": "blurry"}, "negative_prompt is for models of text"),
        ([], "JSON object"),
    ],
)
def test_a_wrong_default_is_named(new_bundle: NewBundle, values: Any, message: str) -> None:
    folder = new_bundle()
    write_json(folder / "generation_config.json", values)
    with pytest.raises(ddim_edge.BundleError, match=f"generation_config.json.*{message}"):
        open_bundle(folder)


def test_guidance_needs_a_null_class(new_bundle: NewBundle) -> None:
    folder = new_bundle(null_class=None)
    write_json(folder / "generation_config.json", {"guidance_scale": 3})
    with pytest.raises(ddim_edge.BundleError, match="guidance_scale is for models of text or with a null class"):
        open_bundle(folder)


def test_an_unknown_default_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ddim_edge.ConfigError, match=r"default 'guidance' is unknown\. Did you mean 'guidance_scale'"):
        Defaults.checked({"guidance": 3})
    assert Defaults.checked({"guidance_scale": 3}).to_json() == {"guidance_scale": 3}
