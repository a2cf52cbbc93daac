"""Presets in generation_config.json: read, asked for by name, written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ddim_edge
from ddim_edge.bundle.presets import check_preset_name, options_of, write_preset
from ddim_edge.bundle.read import open_bundle
from ddim_edge.bundle.verify import verify_files
from ddim_edge.generation.requests.options import recipe_of, request_of
from tests.helpers.hashing import sha256_of
from tests.helpers.tiny_bundles import write_json

NewBundle = Callable[..., Path]
FAST = {"num_steps": 20, "sampler": "ddim", "cache": "forecast:5", "cache_threshold": 0.25, "measured": {"distance": 1}}


@pytest.fixture
def preset_bundle(new_bundle: NewBundle) -> Path:
    folder = new_bundle()
    write_json(folder / "generation_config.json", {"guidance_scale": 3, "presets": {"fast": FAST}})
    return folder


def test_a_request_has_the_presets_options_and_no_preset(preset_bundle: Path) -> None:
    bundle = open_bundle(preset_bundle)
    request = request_of(bundle, {"preset": "fast"})
    assert (request.num_steps, request.sampler.name) == (20, "ddim")
    assert (request.cache, request.cache_threshold, request.guidance_scale) == ("forecast:5", 0.25, 3)
    assert recipe_of(bundle, request) == recipe_of(bundle, request_of(bundle, options_of(FAST)))  # type: ignore[arg-type]
    assert request_of(bundle, {}).cache is None


@pytest.mark.parametrize(
    ("options", "cache", "threshold"),
    [
        ({"num_steps": 30}, "forecast:5", 0.25),
        ({"cache": "forecast:2"}, "forecast:2", None),
        ({"cache": "off"}, None, None),
        ({"cache_threshold": 0.5}, "forecast:5", 0.5),
    ],
)
def test_options_that_are_given_win(preset_bundle: Path, options: Any, cache: str, threshold: float) -> None:
    asked: Any = {"preset": "fast", **options}
    request = request_of(open_bundle(preset_bundle), asked)
    assert (request.cache, request.cache_threshold) == (cache, threshold)
    assert request.num_steps == options.get("num_steps", 20)


def test_an_unknown_preset_is_told_those_there_are(preset_bundle: Path, tiny_bundle: Path) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=r"preset 'fsat' is unknown\. Did you mean 'fast'"):
        request_of(open_bundle(preset_bundle), {"preset": "fsat"})
    with pytest.raises(ddim_edge.ConfigError, match="has no presets; `ddim-edge tune` makes one"):
        request_of(open_bundle(tiny_bundle), {"preset": "fast"})


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ({"cache": "forecast:x"}, "preset 'fast': cache must be off, forecast"),
        ({"cache_threshold": 0.5}, "preset 'fast': cache_threshold needs a cache"),
        ({"num_steps": 0}, "num_steps must be from 1"),
        ({"measured": 3}, "measured must be an object"),
        ([], "must be an object"),
    ],
)
def test_a_wrong_preset_is_an_error_of_the_bundle(new_bundle: NewBundle, preset: Any, message: str) -> None:
    folder = new_bundle()
    write_json(folder / "generation_config.json", {"presets": {"fast": preset}})
    with pytest.raises(ddim_edge.BundleError, match=f"generation_config.json.*{message}"):
        open_bundle(folder)


def test_a_written_preset_leaves_the_rest_and_the_hashes_hold(preset_bundle: Path) -> None:
    path = preset_bundle / "generation_config.json"
    names = ("unet/model.onnx", path.name)
    files = {name: {"sha256": sha256_of(preset_bundle / name)} for name in names}
    write_json(preset_bundle / "export.json", {"remark": "kept", "files": files})
    write_preset(preset_bundle, "near", {"cache": "forecast:2"}, {"distance": 0.01})
    written = json.loads(path.read_text())
    assert written["guidance_scale"] == 3
    assert written["presets"] == {"fast": FAST, "near": {"cache": "forecast:2", "measured": {"distance": 0.01}}}
    assert verify_files(preset_bundle) == 2
    assert json.loads((preset_bundle / "export.json").read_text())["remark"] == "kept"
    assert request_of(open_bundle(preset_bundle), {"preset": "near"}).cache == "forecast:2"


def test_a_bundle_without_the_file_gets_one(new_bundle: NewBundle) -> None:
    folder = new_bundle()
    write_preset(folder, "fast", {"cache": "forecast:2"}, {})
    assert request_of(open_bundle(folder), {"preset": "fast"}).cache == "forecast:2"
    assert not (folder / "export.json").exists()


@pytest.mark.parametrize("name", ["", "-fast", "a b", "ü", "x" * 65])
def test_a_presets_name(name: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match="a preset's name"):
        check_preset_name(name)
    check_preset_name("fast-2.5_x")
