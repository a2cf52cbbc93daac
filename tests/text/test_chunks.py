"""Prompts in chunks: what is framed, what is cut off, what is filled up."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddim_edge.text import Prompt, TruncationWarning
from ddim_edge.text.chunks import Chunk, split_into_chunks
from ddim_edge.text.tokenizer import ClipTokenizer

BOS, EOS, CAT = 49406, 49407, 2368


def of_one(prompt: Prompt, tokenizer: ClipTokenizer) -> list[Chunk]:
    return split_into_chunks(prompt, [prompt.text], [tokenizer])[0][0]


def test_a_short_prompt_is_one_chunk(sd1_tokenizer: ClipTokenizer, sd2_tokenizer: ClipTokenizer) -> None:
    prompt = Prompt(text="cat")
    assert of_one(prompt, sd1_tokenizer) == [Chunk((BOS, CAT, *[EOS] * 75), (1.0,) * 77)]
    assert of_one(prompt, sd2_tokenizer) == [Chunk((BOS, CAT, EOS, *[0] * 74), (1.0,) * 77)]


@pytest.mark.parametrize("long", [False, True])
def test_the_empty_prompt_is_one_empty_chunk(sd2_tokenizer: ClipTokenizer, long: bool) -> None:
    assert of_one(Prompt(text="", long=long), sd2_tokenizer) == [Chunk((BOS, EOS, *[0] * 75), (1.0,) * 77)]


def test_75_tokens_fit(sd1_tokenizer: ClipTokenizer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert of_one(Prompt(text="cat " * 75), sd1_tokenizer) == [Chunk((BOS, *[CAT] * 75, EOS), (1.0,) * 77)]


def test_what_is_cut_off_is_said(sd1_tokenizer: ClipTokenizer) -> None:
    prompt = Prompt(text="cat " * 75 + "on a Red-hot roof")
    with pytest.warns(TruncationWarning, match=r"more than 75 tokens, .* cut off: 'on a red - hot roof'") as caught:
        assert of_one(prompt, sd1_tokenizer)[0].tokens == (BOS, *[CAT] * 75, EOS)
    assert len(caught) == 1


def test_two_tokenizers_warn_once(sd1_tokenizer: ClipTokenizer, sd2_tokenizer: ClipTokenizer) -> None:
    """To the second one, every "!" is a token of its own, and it cuts earlier."""
    text = "cat " * 73 + "!!! dog"
    with pytest.warns(TruncationWarning, match="cut off: '!dog'") as caught:
        split_into_chunks(Prompt(text=text), [text], [sd1_tokenizer, sd2_tokenizer])
    assert len(caught) == 1


@pytest.mark.parametrize(("count", "chunks"), [(74, 1), (75, 1), (76, 2), (150, 2), (151, 3)])
def test_a_long_prompt_is_cut_every_75_tokens(sd1_tokenizer: ClipTokenizer, count: int, chunks: int) -> None:
    found = of_one(Prompt(text="cat " * count, long=True), sd1_tokenizer)
    assert len(found) == chunks
    assert all(len(chunk.tokens) == 77 and chunk.tokens[0] == BOS and EOS in chunk.tokens for chunk in found)
    assert sum(chunk.tokens.count(CAT) for chunk in found) == count


def test_all_texts_and_tokenizers_get_as_many_chunks(
    sd1_tokenizer: ClipTokenizer, sd2_tokenizer: ClipTokenizer
) -> None:
    texts = ["cat " * 74 + "!!", "", "cat " * 76]  # the first is 75 tokens to the one, 76 to the other
    tokenizers = [sd1_tokenizer, sd2_tokenizer]
    for some, count in ((texts[1:2], 1), (texts[:2], 2), (texts, 2)):
        found = split_into_chunks(Prompt(text="", long=True), some, tokenizers)
        assert {len(chunks) for of_text in found for chunks in of_text} == {count}
    assert found[1] == [[Chunk(tokenizer.chunk([]), (1.0,) * 77)] * 2 for tokenizer in tokenizers]


def test_every_token_of_a_span_has_its_weight(sd1_tokenizer: ClipTokenizer) -> None:
    text = "cat (cat cat:1.5) [cat] cat"
    (chunk,) = of_one(Prompt(text=text, weighted=True), sd1_tokenizer)
    assert chunk.tokens == (BOS, *[CAT] * 5, *[EOS] * 71)
    assert chunk.weights == (1, 1, 1.5, 1.5, 1 / 1.1, *[1] * 72)


def test_weights_go_along_into_the_next_chunk(sd1_tokenizer: ClipTokenizer) -> None:
    prompt = Prompt(text="cat " * 70 + "(" + "cat " * 10 + ":2)", weighted=True, long=True)
    first, second = of_one(prompt, sd1_tokenizer)
    assert first.weights == (*[1] * 71, *[2] * 5, 1)
    assert second.weights == (1, *[2] * 5, *[1] * 71)


def test_without_weights_brackets_are_text(sd1_tokenizer: ClipTokenizer) -> None:
    (chunk,) = of_one(Prompt(text="(cat:1.5)"), sd1_tokenizer)
    assert set(chunk.weights) == {1.0}
    assert sd1_tokenizer.decode(chunk.tokens[1:8]) == "( cat : 1 . 5 )"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_no_token_is_lost_in_a_long_prompt(sd2_tokenizer: ClipTokenizer, text: str) -> None:
    found = of_one(Prompt(text=text * 3, long=True), sd2_tokenizer)
    tokens = sd2_tokenizer.encode(text * 3)
    padding = [EOS, *[0] * 75][: 75 * len(found) - len(tokens)]
    assert [token for chunk in found for token in chunk.tokens[1:-1]] == [*tokens, *padding]
