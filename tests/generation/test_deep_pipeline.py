"""Requests with a deep cache: the same images in any batch, beside any others, and with little memory."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge import Origin
from ddim_edge.bundle.read import open_bundle
from ddim_edge.generation.memory.features import features_row, shallow_weights
from ddim_edge.generation.memory.limit import MemoryLimit
from ddim_edge.generation.pipeline import Pipeline
from tests.helpers.command_line import Invoke
from tests.helpers.counting import CountingSession

OPTIONS: dict[str, Any] = {"labels": ["cat", "dog"], "num_images": 5, "num_steps": 8, "seed": 4, "guidance_scale": 2.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "noise": {"eta": 1.0},
    "rescaled": {"guidance_rescale": 0.7},
    "interval": {"guidance_interval": (0.3, 5.0)},
    "pndm": {"sampler": "pndm"},
    "picture": {"origin": "picture", "strength": 0.6},
    "mask": {"origin": "mask", "eta": 0.5},
}


@pytest.fixture(scope="module")
def pipeline(deep_bundle: Path) -> Pipeline:
    return ddim_edge.load(deep_bundle, "cpu")


def _with_origin(options: dict[str, Any]) -> dict[str, Any]:
    if "origin" not in options:
        return options
    picture = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    mask = np.zeros((1, 1, 8, 8), bool)
    mask[..., 4:] = True
    return options | {"origin": Origin(image=picture, mask=mask if options["origin"] == "mask" else None)}


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_composes_with_every_option(pipeline: Pipeline, variant: str) -> None:
    options = OPTIONS | _with_origin(VARIANTS[variant])
    plain, whole, cached = (pipeline.generate(**options, cache=cache).images for cache in (None, "deep:1", "deep:3"))
    np.testing.assert_array_equal(whole, plain)
    assert (cached != plain).any()
    assert np.abs(cached.astype(int) - plain.astype(int)).max() < 128
    alone = [pipeline.generate(**options | {"batch_size": size}, cache="deep:3").images for size in (1, 2)]
    for images in alone:
        np.testing.assert_array_equal(images, cached)


def test_what_does_not_use_it_neither_opens_the_shallow_graph_nor_asks_for_features(
    deep_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = ddim_edge.load(deep_bundle, "cpu")
    session = pipeline.denoiser.session = CountingSession(deep_bundle / "unet" / "model.onnx")
    monkeypatch.setattr(pipeline.denoiser, "prepare_shallow", lambda: pytest.fail("the shallow graph was opened"))
    monkeypatch.setattr(session, "run_and_keep", _only(["out_sample"], session))
    for cache in (None, "off", "deep:1", "forecast:2"):
        pipeline.generate(**OPTIONS, cache=cache)
    assert session.calls


def _only(outputs: list[str], session: CountingSession) -> Any:
    working = session.run_and_keep

    def run_and_keep(feeds: Any, names: list[str], kept: Any) -> Any:
        assert (names, kept) == (outputs, ())
        return working(feeds, names, kept)

    return run_and_keep


def test_requests_with_and_without_it_share_calls_and_end_as_alone(pipeline: Pipeline) -> None:
    caches = ["off", "deep:2", "deep:3", "forecast:2", "deep:8"]
    requests = [
        pipeline.request(**OPTIONS | {"num_images": 2, "seed": at}, cache=cache) for at, cache in enumerate(caches)
    ]
    for max_rows in (2, 7, 64):
        made = list(pipeline.generate_many(requests, max_rows=max_rows))
        assert len(made) == 10
        for position, image in made:
            single = pipeline.generate(
                **OPTIONS | {"num_images": 2, "seed": position, "batch_size": 1}, cache=caches[position]
            )
            np.testing.assert_array_equal(image.image, single.images[image.index])


def test_with_low_memory_the_images_are_the_same(deep_bundle: Path, pipeline: Pipeline) -> None:
    little = ddim_edge.load(deep_bundle, "cpu", low_memory=True)
    np.testing.assert_array_equal(
        little.generate(**OPTIONS, cache="deep:3").images, pipeline.generate(**OPTIONS, cache="deep:3").images
    )


def test_a_folder_run_that_goes_on_makes_the_same_files(invoke: Invoke, deep_bundle: Path, tmp_path: Path) -> None:
    command = ["run", deep_bundle, "-n", 5, "-b", 2, "-s", 8, "--cache", "deep:3", "--provider", "cpu", "-o", "out/"]
    assert invoke(*command).code == 0
    files = sorted((tmp_path / "out").glob("*.png"))
    wanted = {path: path.read_bytes() for path in files}
    assert len(wanted) == 5
    for path in files[1:4]:
        path.unlink()
    assert invoke(*command).code == 0
    assert {path: path.read_bytes() for path in files} == wanted


def test_a_broken_shallow_graph_ends_the_requests_that_use_it(deep_bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(deep_bundle, tmp_path / "broken")
    (folder / "unet" / "shallow.onnx").write_bytes(b"no graph")
    pipeline = ddim_edge.load(folder, "cpu")
    requests = [pipeline.request(**OPTIONS | {"num_images": 1}, cache=cache) for cache in (None, "deep:2")]
    (_, failed), (_, made) = sorted(pipeline.generate_many(requests), key=lambda item: item[1].error is None)
    assert made.pixels is not None
    with pytest.raises(ddim_edge.BundleError, match=r"shallow\.onnx is not an ONNX graph"):
        _ = failed.image


def test_the_memory_of_features_is_in_the_limit(deep_bundle: Path, tiny_bundle: Path) -> None:
    bundle = open_bundle(deep_bundle)
    assert features_row(bundle, 8, 8) == 2 * (2 * 8 * 8 * 4)
    assert features_row(bundle, 16, 4) == 2 * (2 * 16 * 4 * 4)
    assert features_row(open_bundle(tiny_bundle), 8, 8) == shallow_weights(open_bundle(tiny_bundle)) == 0
    assert shallow_weights(bundle) > (deep_bundle / "unet" / "shallow.onnx").stat().st_size
    pipeline = ddim_edge.load(deep_bundle, "cpu")
    limit = MemoryLimit(bundle, ddim_edge.Device("cpu"), "100GB")
    plain, cached = (
        limit._needs(pipeline.request(**OPTIONS, cache=cache), may_tile=False) for cache in ("off", "deep:2")
    )
    assert cached.base - plain.base == 5 * 2 * features_row(bundle, 8, 8)
    with pytest.raises(ddim_edge.ConfigError, match=r"max_memory 0\.01 GB is too little for .*: it must be at least"):
        MemoryLimit(bundle, ddim_edge.Device("cpu"), "1MB").plan(pipeline.request(**OPTIONS, cache="deep:2"))
    assert sum(cached.weights.values()) - sum(plain.weights.values()) == shallow_weights(bundle)
