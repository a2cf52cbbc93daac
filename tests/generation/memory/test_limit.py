"""The limit of private memory of a model: what it makes of requests, and the errors."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.bundle.read import open_bundle
from ddim_edge.generation.memory import limit as limits
from ddim_edge.generation.memory.limit import MemoryLimit
from ddim_edge.generation.memory.plan import Plan, choose
from ddim_edge.images.encode import read_recipe
from tests.helpers.command_line import Invoke

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="private memory is reported on Linux")
EMOJI = Path(__file__).parents[3] / "models" / "emoji"
CPU = ddim_edge.Device("cpu")
ENOUGH = "100GB"
RUN = ["run", EMOJI, "--prompt", "a cat", "-s", 2, "--provider", "cpu"]


@pytest.fixture
def tiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit for which images of 64x64 have to be made in tiles, a row in each call."""
    real = choose

    def little(needs: Any, limit: int) -> Plan | None:
        return Plan(32, rows=1) if 32 in needs.tiles else real(needs, limit)

    monkeypatch.setattr(limits, "choose", little)


def test_with_enough_memory_the_images_are_the_same() -> None:
    options: dict[str, Any] = {"prompt": "a cat", "num_steps": 2}
    wanted = ddim_edge.load(EMOJI, "cpu").generate(**options)
    found = ddim_edge.load(EMOJI, "cpu", max_memory=ENOUGH).generate(**options)
    np.testing.assert_array_equal(found.images, wanted.images)
    assert found.recipe == wanted.recipe


@pytest.mark.usefixtures("tiled")
def test_a_call_has_no_more_rows_than_planned() -> None:
    pipeline = ddim_edge.load(EMOJI, "cpu", max_memory=ENOUGH)
    rows = list[int]()
    pipeline.denoiser.on_call = lambda count, _seconds: rows.append(count)
    pipeline.generate(prompt="a cat", num_steps=2, height=64, width=64, guidance_scale=3.0)
    assert rows == [1, 1, 1, 1]


@pytest.mark.usefixtures("tiled")
def test_an_image_in_tiles_is_made_again_from_its_recipe(invoke: Invoke, tmp_path: Path) -> None:
    sized = [*RUN, "--width", 64, "--height", 64]
    assert invoke(*sized, "--max-memory", ENOUGH, "-o", "tiles.png").code == 0
    assert {"vae_tiling": True, "rows_per_call": 1}.items() <= read_recipe(tmp_path / "tiles.png").items()
    assert invoke(*sized, "-o", "whole.png").code == 0
    assert invoke("run", "--from-image", "tiles.png", "--provider", "cpu", "-o", "again.png").code == 0
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "tiles.png").read_bytes()
    assert (tmp_path / "whole.png").read_bytes() != (tmp_path / "tiles.png").read_bytes()


@pytest.mark.usefixtures("tiled")
def test_without_tiling_there_are_no_tiles(invoke: Invoke, tmp_path: Path) -> None:
    options = ["--width", 64, "--height", 64, "--no-vae-tiling", "--max-memory", ENOUGH]
    assert invoke(*RUN, *options, "-o", "out.png").code == 0
    assert "vae_tiling" not in read_recipe(tmp_path / "out.png")


def test_the_size_of_a_tile_is_that_of_the_request() -> None:
    vae = ddim_edge.load(EMOJI, "cpu").components.vae
    assert vae is not None
    latents = np.random.default_rng(0).standard_normal((1, 24, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(
        vae.decode(latents, tiles=True, tile=64)[..., :48, :48], vae.decode(latents)[..., :48, :48]
    )
    np.testing.assert_array_equal(vae.decode(latents, tiles=True, tile=32), vae.decode(latents, tiles=True))


def test_a_limit_that_cannot_be_kept_names_one_that_can(invoke: Invoke) -> None:
    result = invoke(*RUN, "--max-memory", "1MB")
    assert result.failed_with("max_memory 0.01 GB is too little for", "for 32x32")
    least = result.err.partition("at least ")[2].partition(" for ")[0]
    assert MemoryLimit(open_bundle(EMOJI), CPU, least).plan(limits.usual_request(open_bundle(EMOJI))) is not None


def test_a_larger_image_than_the_limit_allows() -> None:
    pipeline = ddim_edge.load(EMOJI, "cpu", max_memory="2GB")
    with pytest.raises(ddim_edge.ConfigError, match=r"at least [0-9.]+ GB for 4096x4096"):
        pipeline.request(prompt="a cat", height=4096, width=4096)
    request = ddim_edge.load(EMOJI, "cpu").request(prompt="a cat", height=4096, width=4096)
    with pytest.raises(ddim_edge.ConfigError, match="for 4096x4096"):
        next(pipeline.run(request))


@pytest.mark.parametrize("options", [["--max-memory", "2 pounds"], ["--max-memory", "0"], ["--max-memory", "-1GB"]])
def test_what_is_no_size_is_one_line(options: list[str], invoke: Invoke) -> None:
    assert invoke(*RUN, *options).failed_with("max_memory must be a size above 0, such as 2GB")


def test_it_is_for_the_cpu() -> None:
    with pytest.raises(ddim_edge.ConfigError, match="max_memory limits what provider cpu uses, and this runs on cuda"):
        ddim_edge.load(EMOJI, ddim_edge.Device("cuda"), max_memory="2GB")


def test_a_system_that_does_not_report_private_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "private_bytes", lambda: None)
    with pytest.raises(ddim_edge.ConfigError, match="max_memory needs Linux"):
        ddim_edge.load(EMOJI, "cpu", max_memory="2GB")
