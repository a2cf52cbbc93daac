"""Tiles of large images: beside diffusers' tiles, and beside the whole image."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import ddim_edge
from ddim_edge.bundle.vae_config import VaeConfig
from ddim_edge.images.encode import read_recipe
from ddim_edge.images.tiling import tiled
from tests.helpers.command_line import Invoke

from .conftest import Family, FamilyOf
from .recording import Array, close
from .test_families_against_diffusers import generator

SIZES = [(48, 32), (26, 72), (80, 56)]
"""Of images; a tile is 32 pixels large. The second leaves tiles no larger than their overlap."""


@pytest.fixture
def family(family_of: FamilyOf) -> Family:
    return family_of("stable-diffusion")


def smooth(shape: tuple[int, ...]) -> Array:
    """Coarse noise, enlarged: what a picture is at the scale of a tile. float32."""
    coarse = torch.randn(*shape[:2], 3, 3, generator=generator())
    return torch.nn.functional.interpolate(coarse, size=shape[2:], mode="bicubic").numpy()


def draw(shape: tuple[int, ...]) -> Array:
    """Noise that begins anew with every call."""
    return torch.randn(shape, generator=generator()).numpy()


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([4, 8, 16]))
def test_what_does_not_look_beyond_a_pixel_is_as_in_one_call(height: int, width: int, side: int) -> None:
    def enlarge(array: Array) -> Array:
        return array.repeat(2, axis=2).repeat(2, axis=3)

    array = np.random.default_rng(0).standard_normal((1, 2, height, width), dtype=np.float32)
    close(tiled(enlarge, array, side, Fraction(2)), enlarge(array))
    close(tiled(lambda part: part[..., ::2, ::2], enlarge(array), 2 * side, Fraction(1, 2)), array)


def test_no_call_is_larger_than_a_tile() -> None:
    seen = []

    def run(part: Array) -> Array:
        seen.append(part.shape[2:])
        return part

    tiled(run, np.zeros((1, 1, 40, 17), np.float32), 16, Fraction(1))
    assert max(max(shape) for shape in seen) == 16
    assert len(seen) == 4 * 2


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_decoded_as_by_diffusers(height: int, width: int, family: Family) -> None:
    latents = smooth((2, 4, height // 2, width // 2))
    theirs, ours = family.diffusers().vae, family.pipeline.components.vae
    assert ours is not None
    theirs.enable_tiling()
    with torch.no_grad():
        wanted = theirs.decode(torch.from_numpy(latents / theirs.config.scaling_factor)).sample.numpy()
    close(ours.decode(latents, tiles=True), wanted)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_encoded_as_by_diffusers(height: int, width: int, family: Family) -> None:
    image = smooth((1, 3, height, width))
    theirs, ours = family.diffusers().vae, family.pipeline.components.vae
    assert ours is not None
    theirs.enable_tiling()
    with torch.no_grad():
        wanted = theirs.encode(torch.from_numpy(image)).latent_dist.sample(generator()).numpy()
    close(ours.encode(image, draw, tiles=True), wanted * theirs.config.scaling_factor)


def test_the_error_against_the_whole_image(family: Family) -> None:
    """0.24 of the image's deviation (root mean square) for a random network, which looks at the whole image."""
    vae = family.pipeline.components.vae
    assert vae is not None
    latents = torch.randn(1, 4, 64, 64, generator=generator()).numpy() * np.float32(vae.config.scale[0])
    whole, parts = vae.decode(latents), vae.decode(latents, tiles=True)
    assert parts.shape == whole.shape
    error = np.sqrt(np.mean(np.square(parts - whole))) / whole.std()
    assert 0 < error < 0.3


def test_an_image_is_made_in_tiles_where_that_is_wanted(family: Family) -> None:
    options: dict[str, Any] = {"prompt": "a", "num_steps": 1, "height": 48}
    whole = family.pipeline.generate(**options)
    parts = family.pipeline.generate(**options, vae_tiling=True)
    assert not np.array_equal(whole.images, parts.images)
    assert "vae_tiling" not in whole.recipe
    assert parts.recipe["vae_tiling"] is True
    request = ddim_edge.Request.from_json(parts.recipe)
    again = [progress.images for progress in family.pipeline.run(request) if progress.images is not None]
    np.testing.assert_array_equal(np.concatenate(again), parts.images)


def test_an_image_no_larger_than_a_tile_is_whole(family: Family) -> None:
    assert not family.pipeline.request(prompt="a", vae_tiling=True).vae_tiling


@pytest.mark.parametrize(("side", "wanted", "found"), [(1024, None, False), (1028, None, True), (1028, False, False)])
def test_large_images_are_tiled_unless_told_otherwise(
    side: int, wanted: bool | None, found: bool, family: Family
) -> None:
    request = family.pipeline.request(prompt="a", height=side, width=1024, vae_tiling=wanted)
    assert request.vae_tiling is found


def test_a_model_without_an_autoencoder(tiny_bundle: Path) -> None:
    pipeline = ddim_edge.load(tiny_bundle, "cpu")
    with pytest.raises(ddim_edge.ConfigError, match="has no autoencoder that could work in tiles"):
        pipeline.request(vae_tiling=True)
    assert not pipeline.request(vae_tiling=False).vae_tiling


def test_a_tile_is_as_large_as_the_autoencoder_was_trained() -> None:
    keys: dict[str, Any] = {"block_out_channels": [4, 8, 8, 8], "latent_channels": 4}
    assert VaeConfig.from_json(keys).tile == 512
    assert VaeConfig.from_json({**keys, "sample_size": 256}).tile == 256
    assert VaeConfig.from_json({**keys, "sample_size": [1024, 770]}).tile == 768
    assert VaeConfig.from_json({**keys, "sample_size": 8}).tile == 32


def test_on_the_command_line(family: Family, invoke: Invoke, tmp_path: Path) -> None:
    options = ["--prompt", "a", "--width", 48, "-s", 1, "--vae-tiling"]
    assert invoke("run", family.bundle, *options, "-o", "out.png").code == 0
    assert read_recipe(tmp_path / "out.png")["vae_tiling"] is True
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (48, 32)
