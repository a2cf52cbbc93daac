"""CLIP's tokenizer: text to token ids, equal to those of transformers' CLIPTokenizer."""

from collections.abc import Sequence
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

    def encode(self, text: str) -> list[int]:
        """The token ids of a text, without bos, eos and padding. BundleError if the tokenizer fails."""
        with tokenizer_errors(self._folder):
            return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids, in lower case as CLIP reads it."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=False).replace("</w>", " ").strip()

    def chunk(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """One chunk: bos, at most ``text_length`` tokens, eos, and padding up to ``length``."""
        return (self.bos, *tokens, self.eos, *[self.pad] * (self.text_length - len(tokens)))
