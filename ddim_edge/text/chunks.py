"""Cuts a prompt's tokens into the chunks that an encoder takes, each token with its weight.

A chunk is bos, up to 75 tokens of the text, eos and padding. One chunk is what diffusers encodes; more are A1111's way
with long prompts (https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Features#infinite-prompt-length), save
that words after a late comma are not moved into the next chunk.
"""

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from .prompt import Prompt
from .tokenizer import ClipTokenizer
from .weights import Span, parse_weights

Weighted = Sequence[tuple[int, float]]
"""Tokens, each with its weight."""


class TruncationWarning(UserWarning):
    """A prompt is longer than the encoder takes, and its end was cut off."""


class Chunk(NamedTuple):
    """What an encoder takes at once: framed and padded, 77 tokens for CLIP."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]
    """One for each token; 1 for bos, eos and padding."""


def split_into_chunks(
    prompt: Prompt, texts: Sequence[str], tokenizers: Sequence[ClipTokenizer]
) -> list[list[list[Chunk]]]:
    """For each text, for each tokenizer, its chunks: as many everywhere as the longest needs, at least one.

    ``texts`` are read as ``prompt`` says. Unless it is ``long`` there is one chunk, and a TruncationWarning for each
    text that does not fit.
    """
    tokens = [_tokens(text, tokenizers, weighted=prompt.weighted) for text in texts]
    if not prompt.long:
        tokens = [_shorten(of_text, tokenizers) for of_text in tokens]
    text_lengths = [tokenizer.text_length for tokenizer in tokenizers]
    lengths = (len(found) / room for of_text in tokens for found, room in zip(of_text, text_lengths, strict=True))
    count = max(1, *map(math.ceil, lengths))
    return [
        [_cut(found, tokenizer, count) for found, tokenizer in zip(of_text, tokenizers, strict=True)]
        for of_text in tokens
    ]


def _tokens(text: str, tokenizers: Sequence[ClipTokenizer], *, weighted: bool) -> list[Weighted]:
    spans = parse_weights(text) if weighted else [Span(text, 1.0)]
    return [
        [(token, span.weight) for span in spans for token in tokenizer.encode(span.text)] for tokenizer in tokenizers
    ]


def _shorten(of_text: Sequence[Weighted], tokenizers: Sequence[ClipTokenizer]) -> list[Weighted]:
    """Warns once, of the longest loss: two tokenizers may differ in where they cut."""
    pairs = list(zip(of_text, tokenizers, strict=True))
    lost = max(
        (tokenizer.decode([token for token, _ in found[tokenizer.text_length :]]) for found, tokenizer in pairs),
        key=len,
    )
    if lost:
        warnings.warn(
            f"a prompt has more than {tokenizers[0].text_length} tokens, and its end was cut off: {lost!r}. Shorten "
            "it, or set long_prompt (--long-prompt)",
            TruncationWarning,
            stacklevel=2,
        )
    return [found[: tokenizer.text_length] for found, tokenizer in pairs]


def _cut(tokens: Weighted, tokenizer: ClipTokenizer, count: int) -> list[Chunk]:
    starts = range(0, count * tokenizer.text_length, tokenizer.text_length)
    return [_chunk(tokens[start : start + tokenizer.text_length], tokenizer) for start in starts]


def _chunk(tokens: Weighted, tokenizer: ClipTokenizer) -> Chunk:
    frame = tokenizer.chunk([token for token, _ in tokens])
    weights = [1.0, *(weight for _, weight in tokens)]
    return Chunk(frame, (*weights, *[1.0] * (len(frame) - len(weights))))
