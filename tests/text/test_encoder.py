"""What the text encoder makes of a bundle's graphs, on graphs that can be computed by hand."""

import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from ddim_edge.arrays import Array
from ddim_edge.runtime.sessions.session import Session
from ddim_edge.text import Prompt, SizeHints, TruncationWarning
from tests.helpers.tiny_bundles import write_json

from .conftest import NewBundle
from .tiny_encoders import SDXL, SDXL_UNET, WIDTH, open_encoder, tiny_encoder, unet_inputs

BOS, EOS, CAT = 49406, 49407, 2368
HINTS = SizeHints(target=(48, 64))


def embedded(*tokens: int) -> Array:
    values: Array = np.array(tokens)[:, None] * np.array([0.001, 0.002, 0.003])
    return values


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[int]]]:
    """The graphs that ran, each with the token after bos of what it was fed."""
    found: list[tuple[str, list[int]]] = []
    run = Session.run

    def counted(self: Session, feeds: Mapping[str, Array]) -> dict[str, Array]:
        found.append((self.name, feeds["input_ids"][:, 1].tolist()))
        return run(self, feeds)

    monkeypatch.setattr(Session, "run", counted)
    return found


@pytest.mark.parametrize("integer", ["int32", "int64"])
def test_stable_diffusion_gets_the_last_hidden_state(new_bundle: NewBundle, integer: str) -> None:
    encoder = open_encoder(new_bundle(tiny_encoder(integer=integer)))
    conditioning, unconditional = encoder.encode(Prompt(text="cat"), HINTS)
    assert list(conditioning) == ["encoder_hidden_states"]
    found = conditioning["encoder_hidden_states"]
    assert found.shape == (1, 77, WIDTH)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], -embedded(BOS, CAT, *[EOS] * 75), rtol=1e-6)
    assert unconditional is not None
    np.testing.assert_allclose(unconditional["encoder_hidden_states"][0], -embedded(BOS, *[EOS] * 76), rtol=1e-6)


def test_sdxl_gets_the_last_states_but_one_side_by_side(new_bundle: NewBundle) -> None:
    encoder = open_encoder(new_bundle(tiny_encoder(SDXL[1:]), tiny_encoder(SDXL)), SDXL_UNET)
    conditioning, unconditional = encoder.encode(Prompt(text="cat"), HINTS)
    first, second = embedded(BOS, CAT, *[EOS] * 75), embedded(BOS, CAT, EOS, *[0] * 74)
    wanted = 9 * np.concatenate([first, second], axis=1)
    np.testing.assert_allclose(conditioning["encoder_hidden_states"][0], wanted, rtol=1e-6)
    np.testing.assert_allclose(conditioning["text_embeds"], embedded(EOS), rtol=1e-6)
    np.testing.assert_array_equal(conditioning["time_ids"], [[48, 64, 0, 0, 48, 64]])
    assert unconditional is not None
    assert not unconditional["encoder_hidden_states"].any()
    assert not unconditional["text_embeds"].any()
    np.testing.assert_array_equal(unconditional["time_ids"], conditioning["time_ids"])
    assert all(array.dtype == np.float32 for side in (conditioning, unconditional) for array in side.values())


def test_an_empty_negative_prompt_is_not_the_same_as_none(new_bundle: NewBundle) -> None:
    encoder = open_encoder(new_bundle(tiny_encoder(SDXL), tiny_encoder(SDXL)), SDXL_UNET)
    _, unconditional = encoder.encode(Prompt(text="cat", negative=""), HINTS)
    assert unconditional is not None
    np.testing.assert_allclose(unconditional["text_embeds"], embedded(EOS), rtol=1e-6)


def test_size_hints_go_in_order(new_bundle: NewBundle) -> None:
    wanted = unet_inputs(encoder_hidden_states=WIDTH, text_embeds=WIDTH, time_ids="n")
    folder = new_bundle(None, tiny_encoder(SDXL), requires_aesthetics_score=True)
    hints = SizeHints(target=(1, 2), original=(3, 4), crop=(5, 6))
    conditioning, unconditional = open_encoder(folder, wanted).encode(Prompt(text="cat"), hints)
    assert conditioning["time_ids"].tolist() == [[3, 4, 5, 6, 6]]
    assert unconditional is not None
    assert unconditional["time_ids"].tolist() == [[3, 4, 5, 6, 2.5]]
    assert hints.time_ids().tolist() == [[3, 4, 5, 6, 1, 2]]


def test_what_was_encoded_is_not_encoded_again(new_bundle: NewBundle, calls: list[tuple[str, list[int]]]) -> None:
    encoder = open_encoder(new_bundle(tiny_encoder()))
    first = encoder.encode(Prompt(text="cat"), HINTS)
    assert calls == [("text_encoder", [CAT]), ("text_encoder", [EOS])]
    second = encoder.encode(Prompt(text=" CAT ", negative=""), HINTS)
    weighted = encoder.encode(Prompt(text="(cat:2)", negative="cat", weighted=True), HINTS)
    assert len(calls) == 2
    for one, other in zip(first, second, strict=True):
        assert one is not None
        assert other is not None
        np.testing.assert_array_equal(one["encoder_hidden_states"], other["encoder_hidden_states"])
    assert not np.array_equal(weighted[0]["encoder_hidden_states"], first[0]["encoder_hidden_states"])


def test_without_guidance_the_negative_prompt_is_not_encoded(
    new_bundle: NewBundle, calls: list[tuple[str, list[int]]]
) -> None:
    encoder = open_encoder(new_bundle(tiny_encoder()))
    assert (
        encoder.encode(Prompt(text="cat", negative="cat " * 200, long=True), HINTS, guided=False).unconditional is None
    )
    assert calls == [("text_encoder", [CAT])]


def test_what_is_handed_out_does_not_change_what_is_remembered(new_bundle: NewBundle) -> None:
    encoder = open_encoder(new_bundle(tiny_encoder()))
    first = encoder.encode(Prompt(text="cat"), HINTS).conditioning["encoder_hidden_states"]
    kept = first.copy()
    first += 1
    np.testing.assert_array_equal(encoder.encode(Prompt(text="cat"), HINTS).conditioning["encoder_hidden_states"], kept)


def test_long_prompts_make_both_sides_longer(new_bundle: NewBundle) -> None:
    encoder = open_encoder(new_bundle(tiny_encoder(batch=1, tokens=77)))
    conditioning, unconditional = encoder.encode(Prompt(text="cat", negative="cat " * 76, long=True), HINTS)
    cat, empty = (BOS, CAT, *[EOS] * 75), (BOS, *[EOS] * 76)
    np.testing.assert_allclose(conditioning["encoder_hidden_states"][0], -embedded(*cat, *empty), rtol=1e-6)
    assert unconditional is not None
    wanted = -embedded(BOS, *[CAT] * 75, EOS, *cat)
    np.testing.assert_allclose(unconditional["encoder_hidden_states"][0], wanted, rtol=1e-6)


def test_both_sides_warn_of_what_is_cut_off(new_bundle: NewBundle) -> None:
    encoder = open_encoder(new_bundle(tiny_encoder()))
    prompt = Prompt(text="cat " * 75 + "dog", negative="cat " * 75 + "fish")
    for _ in range(2):  # remembered or not
        with pytest.warns(TruncationWarning) as caught:
            encoder.encode(prompt, HINTS)
        assert [word for warning in caught for word in ("'dog'", "'fish'") if word in str(warning.message)] == [
            "'dog'",
            "'fish'",
        ]


def test_an_encoder_of_another_length(new_bundle: NewBundle) -> None:
    folder = new_bundle(tiny_encoder())
    write_json(folder / "tokenizer" / "tokenizer_config.json", {"model_max_length": 8})
    found = open_encoder(folder).encode(Prompt(text="cat " * 9, long=True), HINTS, guided=False).conditioning
    wanted = -embedded(BOS, *[CAT] * 6, EOS, BOS, *[CAT] * 3, *[EOS] * 4)
    np.testing.assert_allclose(found["encoder_hidden_states"][0], wanted, rtol=1e-6)


def test_an_encoder_that_is_dropped_is_freed_at_once(new_bundle: NewBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is what it is dropped for."""
    opened: list[weakref.ref[Session]] = []
    start = Session.__init__

    def watched(self: Session, *arguments: Any, **options: Any) -> None:
        opened.append(weakref.ref(self))
        start(self, *arguments, **options)

    monkeypatch.setattr(Session, "__init__", watched)
    encoder = open_encoder(new_bundle(tiny_encoder()))
    encoder.encode(Prompt(text="cat"), HINTS)
    assert [reference() is None for reference in opened] == [False]
    del encoder
    assert [reference() is None for reference in opened] == [True]


def test_half_precision_comes_out_as_float32(new_bundle: NewBundle) -> None:
    encoder = open_encoder(new_bundle(tiny_encoder(half=True)))
    found = encoder.encode(Prompt(text="cat"), HINTS).conditioning["encoder_hidden_states"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], -embedded(BOS, CAT, *[EOS] * 75), rtol=1e-3)
