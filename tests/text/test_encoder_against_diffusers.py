"""The text encoder against diffusers' encode_prompt, on tiny pipelines with random weights."""

from typing import Any

import numpy as np
import pytest
import torch

from ddim_edge.text import Prompt

from .text_families import CLOSE, Family, assert_close, encoded
from .tiny_pipelines import POOLED

pytestmark = pytest.mark.slow  # more than five seconds together

PROMPT = "A photo of an astronaut, riding 2 horses on Mars! Très détaillé — 8k"
LONG = "a red (cat) and " * 30


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::ddim_edge.text.TruncationWarning")
@pytest.mark.parametrize("negative", [None, "", "blurry, ugly!"])
@pytest.mark.parametrize("text", [PROMPT, "", LONG, "!!"])
@pytest.mark.parametrize("name", ["sd1", "sd2"])
def test_stable_diffusion_1_and_2(name: str, text: str, negative: str | None, request: pytest.FixtureRequest) -> None:
    family: Family = request.getfixturevalue(name)
    theirs = family.pipeline.encode_prompt(text, "cpu", 1, True, negative)
    for found, wanted in zip(encoded(family, Prompt(text=text, negative=negative)), theirs, strict=True):
        assert_close(found, {"encoder_hidden_states": wanted})
        assert wanted.abs().max() > 0.5


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::ddim_edge.text.TruncationWarning")
@pytest.mark.parametrize("negative", [None, "", "blurry, ugly!"])
@pytest.mark.parametrize("text", [PROMPT, "", LONG])
def test_sdxl(sdxl: Family, text: str, negative: str | None) -> None:
    theirs = sdxl.pipeline.encode_prompt(text, device="cpu", negative_prompt=negative)
    time_ids = sdxl.pipeline._get_add_time_ids((48, 64), (0, 0), (48, 64), torch.float32, POOLED)
    found = encoded(sdxl, Prompt(text=text, negative=negative))
    for side in (0, 1):
        wanted = {"encoder_hidden_states": theirs[side], "text_embeds": theirs[2 + side], "time_ids": time_ids}
        assert_close(found[side], wanted)
    assert theirs[0].abs().max() > 0.5
    assert theirs[2].abs().max() > 0.5


@torch.no_grad()
@pytest.mark.parametrize("negative", [None, "blurry"])
def test_the_refiner(refiner: Family, negative: str | None) -> None:
    theirs = refiner.pipeline.encode_prompt(PROMPT, device="cpu", negative_prompt=negative)
    sizes = ((48, 64), (0, 0), (48, 64))
    scores = (6.0, 2.5)
    time_ids = refiner.pipeline._get_add_time_ids(
        *sizes, *scores, *sizes, dtype=torch.float32, text_encoder_projection_dim=POOLED
    )
    found = encoded(refiner, Prompt(text=PROMPT, negative=negative))
    for side in (0, 1):
        wanted = {"encoder_hidden_states": theirs[side], "text_embeds": theirs[2 + side], "time_ids": time_ids[side]}
        assert_close(found[side], wanted)


@torch.no_grad()
def test_a_long_prompt_is_its_chunks_side_by_side(sdxl: Family) -> None:
    """Each chunk as transformers encodes it; the pooled output is the first chunk's; the other side is filled up."""
    words = [f"cat{number} dog" for number in range(60)]  # three or four tokens each
    prompt = Prompt(text=" ".join(words), negative="blurry", long=True)
    conditioning, unconditional = encoded(sdxl, prompt)
    tokenizers = (sdxl.pipeline.tokenizer, sdxl.pipeline.tokenizer_2)
    for found, text in ((conditioning, prompt.text), (unconditional, "blurry")):
        parts = [
            torch_chunks(module, tokenizer, text, found["encoder_hidden_states"].shape[1] // 77)
            for module, tokenizer in zip(sdxl.modules, tokenizers, strict=True)
        ]
        wanted = torch.cat([hidden for hidden, _ in parts], dim=-1)
        assert wanted.shape[1] > 77
        np.testing.assert_allclose(found["encoder_hidden_states"], wanted.numpy(), atol=CLOSE, rtol=0)
        np.testing.assert_allclose(found["text_embeds"], parts[1][1].numpy(), atol=CLOSE, rtol=0)


def torch_chunks(module: Any, tokenizer: Any, text: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The penultimate hidden states of ``count`` chunks in a row, and the first output of the first."""
    ids = tokenizer(text, add_special_tokens=False).input_ids
    chunks = [ids[start : start + 75] for start in range(0, 75 * count, 75)]
    framed = [tokenizer.decode(chunk) for chunk in chunks]
    again = tokenizer(framed, padding="max_length", max_length=77, return_tensors="pt").input_ids
    outputs = [module(row[None], output_hidden_states=True) for row in again]
    return torch.cat([output.hidden_states[-2] for output in outputs], dim=1), outputs[0][0]


@torch.no_grad()
def test_weights_scale_the_hidden_states_and_keep_their_mean(sd1: Family) -> None:
    plain = encoded(sd1, Prompt(text="a red cat"))[0]["encoder_hidden_states"]
    weighted = encoded(sd1, Prompt(text="a (red:1.5) cat", weighted=True))[0]["encoder_hidden_states"]
    factors = np.ones((1, 77, 1), np.float32)
    factors[0, 2] = 1.5
    wanted = plain * factors * (plain.mean() / (plain * factors).mean())
    np.testing.assert_allclose(weighted, wanted, rtol=1e-3, atol=1e-5)
    assert np.abs(weighted - plain).max() > 0.1
