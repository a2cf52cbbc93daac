"""The training recipe: what it resumes to, and the folder that it saves."""

import gzip
import json
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

from ddim_edge.bundle.read import open_bundle
from ddim_edge.diffusion.samplers import sampler_config
from ddim_edge.errors import ConfigError
from models.training.fashion_mnist.__main__ import SCHEDULER, save_pipeline
from models.training.fashion_mnist.data import load
from models.training.fashion_mnist.train import make_unet, train
from models.training.loop import Loss
from models.training.recipe import Recipe

CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set of 32 random images in Fashion-MNIST's file format."""
    folder = tmp_path / "data"
    folder.mkdir()
    random = np.random.default_rng(0)
    images = random.integers(0, 256, 32 * 28 * 28, np.uint8).tobytes()
    labels = random.integers(0, 10, 32, np.uint8).tobytes()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + images))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + labels))
    return folder


def weights(recipe: Recipe, data: Path, checkpoint: Path) -> torch.Tensor:
    unet = train(recipe, data, checkpoint, CPU, save_every=2)
    return torch.cat([parameter.flatten() for parameter in unet.parameters()])


@pytest.mark.slow
def test_a_run_that_was_cut_short_ends_where_an_uninterrupted_one_ends(data: Path, tmp_path: Path) -> None:
    recipe = Recipe(steps=4, batch_size=8, warmup_steps=2)
    whole = weights(recipe, data, tmp_path / "whole.pt")

    class CutShortError(Exception):
        pass

    cut = tmp_path / "cut.pt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.training.loop.Run.advance", _raising_after(2, CutShortError()))
        with pytest.raises(CutShortError):
            weights(recipe, data, cut)
    torch.testing.assert_close(weights(recipe, data, cut), whole, rtol=0, atol=0)


def _raising_after(count: int, error: Exception) -> object:
    from models.training.loop import Run

    advance = Run.advance

    def patched(run: Run, loss: Loss) -> float:
        if run.step == count:
            raise error
        return float(advance(run, loss))

    return patched


def test_the_learning_rate_rises_holds_and_falls_to_zero() -> None:
    recipe = Recipe(steps=1000, warmup_steps=100, decay_fraction=0.25, learning_rate=1.0)
    rates = [recipe.learning_rate_at(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[99:750] == pytest.approx([1.0] * 651)
    assert np.diff(rates[750:]).max() < 0
    assert rates[-1] == pytest.approx(1 / 250)


def test_the_saved_folder_names_its_classes(tmp_path: Path) -> None:
    save_pipeline(make_unet(), tmp_path, SCHEDULER, null_class=10)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["id2label"]["7"] == "sneaker"
    assert index["null_class"] == 10
    scheduler = json.loads((tmp_path / "scheduler" / "scheduler_config.json").read_text())
    assert scheduler["prediction_type"] == "v_prediction"
    bundled = open_bundle("fashion-mnist")
    assert sampler_config(scheduler) == bundled.scheduler
    assert scheduler["num_inference_steps"] == bundled.num_steps
    diffusers.DDIMPipeline.from_pretrained(tmp_path)


def test_a_folder_without_the_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dataset-fashion-mnist"):
        load("train", tmp_path)
