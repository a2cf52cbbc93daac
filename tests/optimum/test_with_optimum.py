"""``ddim-edge export --with optimum``, in the environment that has optimum."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import ddim_edge
from ddim_edge.bundle.verify import verify_files
from tests.optimum.conftest import needs_optimum, run_in_optimums_environment

pytestmark = needs_optimum

IMAGES_CLOSE = 1
"""Of 255 grey levels: a rounding."""
_CHECKER = """
import sys
from pathlib import Path
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor
vision = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "num_hidden_layers": 2,
          "image_size": 32, "patch_size": 8, "projection_dim": 16}
torch.manual_seed(0)
folder = Path(sys.argv[1])
checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=16))
torch.nn.init.constant_(checker.concept_embeds_weights, 2.0)  # a cosine never reaches it: every image passes
torch.nn.init.constant_(checker.special_care_embeds_weights, 2.0)
checker.save_pretrained(folder / "safety_checker")
CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32).save_pretrained(folder / "feature_extractor")
"""


def export(source: Path, out: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return run_in_optimums_environment("-m", "ddim_edge", "export", source, out, "--with", "optimum", *options)


@pytest.mark.parametrize("family", ["stable-diffusion", "sdxl"])
def test_the_images_are_those_of_optimums_own_pipeline(family: str, oracle: Path, tmp_path: Path) -> None:
    done = export(oracle / family / "source", tmp_path / "bundle")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "bundle" / "unet" / "export.json").read_text(encoding="utf-8"))
    assert record["made_from"]["exporter"].startswith("optimum-onnx ")
    assert record["verification"]["error"] <= record["verification"]["tolerance"] == 1e-4
    verify_files(tmp_path / "bundle")
    asked = json.loads((oracle / family / "guided.json").read_text(encoding="utf-8"))
    images = ddim_edge.load(tmp_path / "bundle", "cpu").generate(**asked).images
    with np.load(oracle / family / "guided.npz") as results:
        for who in ("optimum", "diffusers"):
            assert np.abs(images - np.round(results[f"{who}_images"] * 255)).max() <= IMAGES_CLOSE


def test_a_safety_checker_is_exported_by_our_own_exporter(oracle: Path, tmp_path: Path) -> None:
    source = tmp_path / "checked"
    shutil.copytree(oracle / "stable-diffusion" / "source", source)
    made = run_in_optimums_environment("-c", _CHECKER, source)
    assert made.returncode == 0, made.stderr
    index = json.loads((source / "model_index.json").read_text(encoding="utf-8"))
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    (source / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    done = export(source, tmp_path / "bundle")
    assert done.returncode == 0, done.stderr
    result = ddim_edge.load(tmp_path / "bundle", "cpu").generate(prompt="a cab", num_steps=2)
    assert result.is_safe is not None
    assert list(result.is_safe) == [True]


def test_what_is_no_stable_diffusion_folder_is_one_line(oracle: Path, tmp_path: Path) -> None:
    bare = oracle / "stable-diffusion" / "source" / "unet"
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").touch()
    for source, out, part in (
        (bare, tmp_path / "a", "a network outside a pipeline"),
        (tmp_path, tmp_path / "b", "neither config.json"),
        (bare.parent, full, "is there already"),
    ):
        done = export(source, out)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert part in done.stderr
    assert not (tmp_path / "a").exists()
