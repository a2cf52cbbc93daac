"""T5's text encoder: its tokenizer, which ``tokenizers`` reads from tokenizer.json, and its graph."""

import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..bundle.layout import T5_TOKENS, Component
from ..errors import BundleError, PredictionError, listed, shown
from ..files import open_regular
from ..runtime.sessions.pool import Sessions
from ..runtime.sessions.session import Session
from .chunks import TruncationWarning
from .tokenizers_module import tokenizer_errors, tokenizers_module

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_INPUTS = {"input_ids", "attention_mask"}
_OUTPUT = "last_hidden_state"
_END, _PAD = "</s>", "<pad>"
_CACHED_TEXTS = 16


class T5Encoding(NamedTuple):
    """A text's hidden states. The arrays are shared: do not write to them."""

    hidden: NDArray[np.float32]
    """(tokens, width)"""
    mask: NDArray[np.int64]
    """(tokens,): 1 for the text and its end, 0 for padding."""


class T5TextModel:
    """A T5 encoder with its tokenizer, for texts of as many tokens as its graph takes; longer ones are cut off.

    Attributes:
        length: how many tokens the encoder takes, the end included.

    ``masked``: whether the encoder is told what is padding. BundleError for a graph or a tokenizer of something else.
    """

    def __init__(self, tokenizer: "T5Tokenizer", session: Session, *, masked: bool) -> None:
        self._tokenizer, self.session = tokenizer, session
        if set(session.inputs) != _INPUTS or _OUTPUT not in session.outputs:
            raise BundleError(
                f"{session.name} must take input_ids and attention_mask and return {_OUTPUT}; it takes "
                f"{listed(session.inputs)} and returns {listed(session.outputs)}: export it again"
            )
        length = session.inputs["input_ids"].shape[-1]
        self.length = length if isinstance(length, int) else T5_TOKENS
        # As in ClipTextModel, the cache must not refer to self.
        run = functools.partial(_run, session, masked=masked)
        self._hidden = functools.lru_cache(maxsize=_CACHED_TEXTS)(run)

    @property
    def width(self) -> int | str:
        """Width of the hidden states; a name where the graph does not fix it."""
        return self.session.outputs[_OUTPUT].shape[-1]

    def encode(self, text: str) -> T5Encoding:
        """The hidden states of a text with its end and padding. A TruncationWarning says what was cut off."""
        tokens = self._tokenizer.encode(text)
        kept = tokens[: self.length - 1]
        if lost := self._tokenizer.decode(tokens[len(kept) :]):
            warnings.warn(
                f"a prompt has more than {self.length - 1} tokens of T5, and its end was cut off: {shown(lost)}. "
                "Shorten it",
                TruncationWarning,
                stacklevel=2,
            )
        ended = (*kept, self._tokenizer.end)
        padding = self.length - len(ended)
        mask = np.array([1] * len(ended) + [0] * padding)
        return T5Encoding(self._hidden((*ended, *[self._tokenizer.pad] * padding), len(ended)), mask)


class T5Tokenizer:
    """The tokenizer of one folder: equal to transformers' T5Tokenizer. BundleError where the folder has none.

    Attributes:
        end, pad: ids of the tokens that end and fill a text.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tokenizer = _read(folder / "tokenizer.json")
        self.end, self.pad = (self._number(name) for name in (_END, _PAD))

    def encode(self, text: str) -> list[int]:
        """The token ids of a text, without its end. BundleError if the tokenizer fails."""
        with tokenizer_errors(self._folder):
            return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=False).strip()

    def _number(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise BundleError(f"{self._folder}'s vocabulary has no {token}: it is not a T5 tokenizer")
        return number


def _read(path: Path) -> "Tokenizer":
    if not path.is_file():
        raise BundleError(
            f"{path} is missing: T5's tokenizer is read from it. `AutoTokenizer.from_pretrained(FOLDER)."
            "save_pretrained(FOLDER)` of transformers writes it from spiece.model"
        )
    with tokenizer_errors(path.parent), open_regular(path) as file:
        tokenizer: Tokenizer = tokenizers_module().Tokenizer.from_buffer(file.read())
        tokenizer.no_padding()
        tokenizer.no_truncation()
    return tokenizer


def _run(session: Session, tokens: tuple[int, ...], count: int, *, masked: bool) -> NDArray[np.float32]:
    """The hidden states of tokens, of which the first ``count`` are no padding."""
    mask = np.ones((1, len(tokens)), np.int64)
    if masked:
        mask[:, count:] = 0
    hidden: NDArray[np.float32] = session.run({"input_ids": np.array([tokens]), "attention_mask": mask})[_OUTPUT][0]
    if not np.isfinite(hidden).all():
        raise PredictionError(
            f"{session.name} returned NaN or infinity: its weights or its precision are wrong. Export it in fp32"
        )
    hidden = hidden.astype(np.float32)
    hidden.setflags(write=False)
    return hidden


def open_t5_text_model(folder: Path, encoder: Component, sessions: Sessions, *, masked: bool) -> T5TextModel:
    """Open a T5 encoder of a bundle, with its tokenizer. Raises BundleError or ProviderError."""
    session = sessions.open(folder / encoder.graph, folder)
    return T5TextModel(T5Tokenizer(folder / encoder.companion), session, masked=masked)
