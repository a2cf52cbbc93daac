"""Prompts beside other programs, embedding by embedding: diffusers' clip_skip; compel's long texts and weights."""

from typing import Any

import numpy as np
import pytest
import torch
from compel import Compel, ReturnedEmbeddingsType
from compel.embeddings_provider import SplitLongTextMode
from numpy.typing import NDArray

import ddim_edge
from ddim_edge.text import Prompt

from .text_families import CLOSE, HINTS, Family, assert_close, encoded

pytestmark = pytest.mark.slow  # text encoders are traced, for other tests, too

PROMPT = "A photo of an astronaut, riding 2 horses on Mars!"
LONG = "A red cat, and a blue dog. " * 20
Array = NDArray[np.float32]


def compel(family: Family, **options: Any) -> Any:
    """Compel as its documentation sets it up for Stable Diffusion, with prompts of any length."""
    pipeline = family.pipeline
    return Compel(
        tokenizer=pipeline.tokenizer, text_encoder=pipeline.text_encoder, truncate_long_prompts=False, **options
    )


def hidden(family: Family, text: str, **options: Any) -> Array:
    conditions = family.encoder.encode(Prompt(text=text, **options), HINTS, guided=False)
    found: Array = conditions.conditioning["encoder_hidden_states"]
    return found


def close(found: Array, wanted: torch.Tensor) -> None:
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted.numpy(), atol=CLOSE, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("skip", [0, 1, 2])
@pytest.mark.parametrize("name", ["sd1", "sd2"])
def test_clip_skip(name: str, skip: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    family: Family = request.getfixturevalue(name)
    (module,) = family.modules
    # Where diffusers 0.42 looks for the last norm, which transformers 5 does not have there.
    monkeypatch.setitem(vars(module), "text_model", module)
    theirs = family.pipeline.encode_prompt(PROMPT, "cpu", 1, True, "ugly", clip_skip=skip)
    for found, wanted in zip(
        encoded(family, Prompt(text=PROMPT, negative="ugly", clip_skip=skip)), theirs, strict=True
    ):
        assert_close(found, {"encoder_hidden_states": wanted})
    if skip:
        assert np.abs(hidden(family, PROMPT, clip_skip=skip) - hidden(family, PROMPT)).max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("skip", [0, 1])
def test_clip_skip_of_two_encoders(sdxl: Family, skip: int) -> None:
    theirs = sdxl.pipeline.encode_prompt(PROMPT, device="cpu", negative_prompt="ugly", clip_skip=skip)
    found = encoded(sdxl, Prompt(text=PROMPT, negative="ugly", clip_skip=skip))
    for side in (0, 1):
        assert_close(
            {name: found[side][name] for name in ("encoder_hidden_states", "text_embeds")},
            {"encoder_hidden_states": theirs[side], "text_embeds": theirs[2 + side]},
        )


def test_more_layers_than_there_are(sd1: Family) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=r"clip_skip 3 is too much: .* has 2 layers that can be left out"):
        hidden(sd1, PROMPT, clip_skip=3)


@torch.no_grad()
def test_compel_makes_the_same_of_a_plain_text(sd1: Family, sdxl: Family) -> None:
    close(hidden(sd1, PROMPT), compel(sd1)(PROMPT))
    pipeline = sdxl.pipeline
    theirs = Compel(
        tokenizer=[pipeline.tokenizer, pipeline.tokenizer_2],
        text_encoder=[pipeline.text_encoder, pipeline.text_encoder_2],
        returned_embeddings_type=ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED,
        requires_pooled=[False, True],
    )
    wanted, pooled = theirs(PROMPT)
    ours = sdxl.encoder.encode(Prompt(text=PROMPT), HINTS, guided=False).conditioning
    close(ours["encoder_hidden_states"], wanted)
    close(ours["text_embeds"], pooled)


@torch.no_grad()
def test_compel_makes_the_same_of_a_long_text(sd1: Family) -> None:
    """Where it cuts after 75 tokens, as A1111 does and diffusers' community pipelines; by default after a sentence."""
    found = hidden(sd1, LONG, long=True)
    assert found.shape[1] == 3 * 77
    close(found, compel(sd1, split_long_text_mode=SplitLongTextMode.BRUTAL)(LONG))


@torch.no_grad()
def test_break_is_compels_and(sd1: Family) -> None:
    parts = "a red cat", "on a mat, " * 30, "in Paris"
    wanted = compel(sd1, split_long_text_mode=SplitLongTextMode.BRUTAL)(
        f'("{parts[0]}", "{parts[1]}", "{parts[2]}").and()'
    )
    close(hidden(sd1, " BREAK ".join(parts), long=True, weighted=True), wanted)


@torch.no_grad()
def test_weights_are_those_of_a1111_and_not_of_compel(sd1: Family) -> None:
    """Ours multiply the embedding and restore the mean; compel's go away from the empty text's embedding."""
    plain, empty, weighted = hidden(sd1, "a red cat"), hidden(sd1, ""), hidden(sd1, "a (red:1.5) cat", weighted=True)
    factors = np.ones((1, 77, 1), np.float32)
    factors[0, 2] = 1.5
    scaled = plain * factors
    np.testing.assert_allclose(weighted, scaled * (plain.mean() / scaled.mean()), rtol=1e-3, atol=1e-5)
    theirs = compel(sd1)("a (red)1.5 cat")
    close(empty + factors * (plain - empty), theirs)
    assert np.abs(weighted - theirs.numpy()).max() > 0.1


def test_break_needs_long_prompts() -> None:
    with pytest.raises(ddim_edge.ConfigError, match="a prompt has BREAK, which begins a new chunk: set long_prompt"):
        Prompt(text="a BREAK b", weighted=True)
    assert Prompt(text="a BREAK b").text == "a BREAK b"
    assert Prompt(text="BREAKFAST at noon", weighted=True).weighted


def test_break_within_brackets_and_at_the_ends(sd1: Family) -> None:
    same = {"long": True, "weighted": True}
    whole = hidden(sd1, "(a red BREAK cat:1.3)", **same)
    np.testing.assert_array_equal(whole[:, :77], hidden(sd1, "(a red:1.3)", **same))
    np.testing.assert_array_equal(whole[:, 77:], hidden(sd1, "(cat:1.3)", **same))
    assert hidden(sd1, "BREAK a BREAK", **same).shape[1] == 3 * 77
