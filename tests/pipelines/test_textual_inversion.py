"""A word of several vectors beside diffusers' load_textual_inversion: the same picture, and the same command line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from ddim_edge_export import export_folder
from tests.helpers.command_line import Invoke
from tests.helpers.exported import Exports

from .conftest import FamilyOf
from .test_families_against_diffusers import SEED, generator

pytestmark = pytest.mark.slow  # a text encoder is traced with the word

PROMPT = "a <cat-toy> on mars"


def test_a_word_of_three_vectors(exports: Exports, family_of: FamilyOf, invoke: Invoke, tmp_path: Path) -> None:
    family, file = family_of("stable-diffusion"), tmp_path / "learned_embeds.safetensors"
    torch.manual_seed(0)
    save_file({"<cat-toy>": torch.randn(3, 16)}, file)
    pipeline = family.diffusers()
    pipeline.load_textual_inversion(str(tmp_path))
    options: dict[str, Any] = {"prompt": PROMPT, "guidance_scale": 4.0}
    wanted = pipeline(**options, num_inference_steps=2, generator=generator(), output_type="np").images[0]
    parts = ("unet", "vae_decoder")
    exports.provide(family.source, tmp_path / "bundle", parts)
    export_folder(
        family.source, tmp_path / "bundle", components=[*parts, "text_encoder"], textual_inversions=[str(file)]
    )
    run = ("run", "bundle", "--seed", SEED, "-s", 2, "-g", 4)
    assert invoke(*run, "--prompt", PROMPT, "-o", "one.png").code == 0
    assert invoke(*run, "--prompt", "a cat on mars", "-o", "other.png").code == 0
    found, other = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("one.png", "other.png"))
    assert np.abs(found - np.round(wanted * 255)).max() <= 1
    assert np.abs(found - other).max() > 3
