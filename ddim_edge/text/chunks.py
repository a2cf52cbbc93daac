"""Splits a prompt's tokens into the chunks that a text encoder takes, each token with its weight.

A chunk is bos, up to 75 tokens of the text, eos and padding. diffusers encodes one chunk. Several chunks are how A1111
reads long prompts (https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Features#infinite-prompt-length), and
``BREAK`` fills up a chunk. One difference: words after a late comma are not moved into the next chunk.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import shown
from .prompt import Prompt
from .tokenizer import ClipTokenizer
from .weights import Span, parse_segments

WeightedTokens = Sequence[tuple[int, float]]
"""Token ids, each with its weight."""


class TruncationWarning(UserWarning):
    """A prompt was longer than the encoder takes, and its end was cut off."""


class Chunk(NamedTuple):
    """The tokens of one encoder call, with bos, eos and padding: 77 for CLIP."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]
    """One per token; 1 for bos, eos and padding."""


def split_into_chunks(
    prompt: Prompt, texts: Sequence[str], tokenizers: Sequence[ClipTokenizer]
) -> list[list[list[Chunk]]]:
    """The chunks of each text by each tokenizer, indexed [text][tokenizer][chunk].

    All have the same number of chunks, at least one: as many as the longest needs. ``prompt`` says whether weights are
    read, and whether there may be several chunks; if not, each text that is too long gives a TruncationWarning.
    """
    parts = [[_parts(text, tokenizer, weighted=prompt.weighted) for tokenizer in tokenizers] for text in texts]
    if not prompt.long:
        parts = [_truncate(of_text, tokenizers) for of_text in parts]
    count = max(len(found) for of_text in parts for found in of_text)
    return [
        [
            [_chunk(part, tokenizer) for part in [*found, *[()] * (count - len(found))]]
            for found, tokenizer in zip(of_text, tokenizers, strict=True)
        ]
        for of_text in parts
    ]


def _parts(text: str, tokenizer: ClipTokenizer, *, weighted: bool) -> list[WeightedTokens]:
    """The tokens of each chunk of a text, at least one chunk."""
    segments = parse_segments(text) if weighted else [[Span(text, 1.0)]]
    parts: list[WeightedTokens] = []
    for spans in segments:
        tokens = [(token, span.weight) for span in spans for token in tokenizer.encode(span.text)]
        starts = range(0, max(len(tokens), 1), tokenizer.text_length)
        parts += [tokens[start : start + tokenizer.text_length] for start in starts]
    return parts


def _truncate(
    of_text: Sequence[Sequence[WeightedTokens]], tokenizers: Sequence[ClipTokenizer]
) -> list[list[WeightedTokens]]:
    """Cut a text to one chunk. One warning names the longest loss, since two tokenizers may cut at different words."""
    pairs = zip(of_text, tokenizers, strict=True)
    lost = max(
        (tokenizer.decode([token for part in found[1:] for token, _ in part]) for found, tokenizer in pairs), key=len
    )
    if lost:
        warnings.warn(
            f"a prompt has more than {tokenizers[0].text_length} tokens, and its end was cut off: {shown(lost)}. "
            "Shorten it, or set long_prompt (--long-prompt)",
            TruncationWarning,
            stacklevel=2,
        )
    return [list(found[:1]) for found in of_text]


def _chunk(tokens: WeightedTokens, tokenizer: ClipTokenizer) -> Chunk:
    padded = tokenizer.chunk([token for token, _ in tokens])
    weights = [1.0, *(weight for _, weight in tokens)]
    return Chunk(padded, (*weights, *[1.0] * (len(padded) - len(weights))))
