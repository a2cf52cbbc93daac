"""CLIP's tokenizer: text to token ids, equal to those of transformers' CLIPTokenizer."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from .tokenizer_files import read_tokenizer
from .tokenizers_module import tokenizer_errors


class ClipTokenizer:
    """The tokenizer of one folder.

    Attributes:
        bos, eos, pad: ids of the tokens that begin, end and fill a chunk.
        length: number of tokens in a chunk, 77 for CLIP.
        text_length: how many of them can be text, 75 for CLIP.
        vocabulary_size: number of different tokens, 49,408 for CLIP.

    Raises BundleError where the folder has no tokenizer.
    """

    def __init__(self, folder: Path) -> None:
        files = read_tokenizer(folder)
        self._folder = folder
        self._tokenizer = files.tokenizer
        self.bos, self.eos, self.pad = files.bos, files.eos, files.pad
        self.length, self.text_length = files.length, files.length - 2
        self.vocabulary_size = files.tokenizer.get_vocab_size()
        added = {token.content: number for number, token in files.tokenizer.get_added_tokens_decoder().items()}
        self._vectors = {number: vectors for name, number in added.items() if len(vectors := _vectors(name, added)) > 1}

    def encode(self, text: str) -> list[int]:
        """The token ids of a text, without bos, eos and padding. BundleError if the tokenizer fails.

        The name of a textual inversion becomes all of its tokens, as in diffusers: those of NAME, NAME_1, NAME_2 ….
        """
        with tokenizer_errors(self._folder):
            ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [token for number in ids for token in self._vectors.get(number, (number,))]

    def has_token(self, text: str) -> bool:
        """Whether there is a token of this text."""
        return self._tokenizer.token_to_id(text) is not None

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids, in lower case as CLIP reads it."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=False).replace("</w>", " ").strip()

    def chunk(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """One chunk: bos, at most ``text_length`` tokens, eos, and padding up to ``length``."""
        return (self.bos, *tokens, self.eos, *[self.pad] * (self.text_length - len(tokens)))


def _vectors(name: str, added: Mapping[str, int]) -> tuple[int, ...]:
    """The token of ``name``, and of the added tokens that are called name_1, name_2 and so on."""
    names = itertools.takewhile(added.__contains__, (f"{name}_{index}" for index in itertools.count(1)))
    return (added[name], *(added[other] for other in names))
