"""The emoji recipe: its data, its tokenizer, and a short training up to a bundle that runs from a prompt."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

import ddim_edge
from bench.emoji import ranks
from ddim_edge.config import read_json
from ddim_edge.errors import ConfigError
from ddim_edge.text.tokenizer import ClipTokenizer
from ddim_edge_export import export_folder
from models.training.emoji.__main__ import train_pipeline
from models.training.emoji.autoencoder import CHANNELS, principal_latents
from models.training.emoji.data import DEFAULT_FONT, Emoji, load
from models.training.emoji.tokenizer import TOKENS, train_tokenizer
from models.training.recipe import Recipe

NAMES = ("grinning face", "cat face", "cat with wry smile", "zebra face", "heart-shaped eyes", "money-mouth face")


@pytest.fixture
def emoji() -> Emoji:
    """Made-up pictures, enough of them for the latents' components."""
    random = np.random.default_rng(0)
    return Emoji(NAMES, random.integers(0, 256, (len(NAMES), 32, 32, 3), np.uint8))


@pytest.mark.skipif(not DEFAULT_FONT.exists(), reason="needs Debian's package fonts-noto-color-emoji")
def test_every_emoji_has_its_own_name_and_picture() -> None:
    names, images = load()
    assert images.shape == (len(names), 32, 32, 3)
    assert len(names) > 1300
    assert len(set(names)) == len(names) == len({image.tobytes() for image in images})
    assert {"grinning face", "zebra face", "red apple"} <= set(names)
    assert not [name for name in names if "modifier" in name or "regional" in name or name.startswith("digit")]
    assert np.median(images[:, 0, 0]) == 255  # on white


def test_a_missing_font_is_an_error_that_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fonts-noto-color-emoji"):
        load(tmp_path / "none.ttf")


def test_the_tokenizer_gives_back_what_it_read_and_agrees_with_the_run_time(tmp_path: Path) -> None:
    theirs: CLIPTokenizer = train_tokenizer(NAMES, tmp_path)
    ours = ClipTokenizer(tmp_path)
    assert ours.length == TOKENS
    for text in (*NAMES, "", "a house", "Smiling CAT, 2 eyes!", "naïve 🙂"):
        tokens = ours.encode(text)
        assert [ours.bos, *tokens, ours.eos] == theirs(text).input_ids
        assert list(ours.chunk(tokens)) == theirs(text, padding="max_length", max_length=TOKENS).input_ids
    assert ours.decode(ours.encode("cat face")) == "cat face"
    assert len(ours.encode("cat face")) == 2


def test_the_latents_are_uncorrelated_and_of_variance_one() -> None:
    images = torch.rand(200, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    latents = principal_latents(images)
    assert latents.shape == (200, CHANNELS, 4, 4)
    covariance = torch.cov(latents.permute(1, 0, 2, 3).flatten(1))
    assert torch.diagonal(covariance).mean() == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(covariance, torch.diag(torch.diagonal(covariance)), atol=1e-3, rtol=0)


@pytest.mark.slow
def test_a_short_training_ends_in_a_bundle_that_runs_from_a_prompt(emoji: Emoji, tmp_path: Path) -> None:
    short = Recipe(steps=1, batch_size=2, warmup_steps=1)
    train_pipeline(emoji, tmp_path, short, short, widths=(16,))
    longer = dataclasses.replace(short, steps=2)
    train_pipeline(emoji, tmp_path, short, longer, widths=(16,))  # from the checkpoints
    assert torch.load(tmp_path / "denoiser.pt", weights_only=True)["step"] == 2
    parts = ("unet", "text_encoder", "vae_decoder")
    export_folder(tmp_path / "diffusers", tmp_path / "bundle", components=parts)
    assert read_json(tmp_path / "bundle" / "export.json")["licence"] == "ofl-1.1"
    pipeline = ddim_edge.load(tmp_path / "bundle")
    images = pipeline.generate(prompt=["cat face", "zebra"], guidance_scale=3, num_steps=3).images
    assert images.shape == (2, 32, 32, 3)
    assert not np.array_equal(images[0], images[1])


def test_ranks_count_the_pictures_that_are_nearer() -> None:
    training = np.array([0, 100, 200], np.uint8).reshape(3, 1, 1, 1)
    assert ranks(np.array([10, 180, 120], np.uint8).reshape(3, 1, 1, 1), training).tolist() == [0, 1, 1]
