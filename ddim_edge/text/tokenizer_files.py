"""Reads the tokenizer folder of a bundle, in all layouts that versions of transformers have written."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BundleError, shown
from ..files import open_regular
from .special_tokens import add_special_tokens, read_settings, special_names
from .tokenizers_module import tokenizer_errors, tokenizers_module

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_DEFAULT_LENGTH, _LONGEST = 77, 100_000  # transformers writes 10^30 for an unknown length


_SUBWORD_PREFIX = re.compile(rb'"continuing_subword_prefix"\s*:\s*(null|""|.)')


class TokenizerFiles(NamedTuple):
    """The contents of a tokenizer folder."""

    tokenizer: "Tokenizer"
    bos: int
    eos: int
    pad: int
    length: int
    """Number of tokens that the encoder takes, bos and eos included."""


def read_tokenizer(folder: Path) -> TokenizerFiles:
    """Read a tokenizer folder. BundleError where it has no CLIP tokenizer or a broken one."""
    settings = read_settings(folder)
    names = special_names(settings, folder)
    tokenizer = _read(folder, names["unk_token"])
    with tokenizer_errors(folder):
        tokenizer.no_padding()
        tokenizer.no_truncation()
        add_special_tokens(tokenizer, settings, folder)
    bos, eos, pad = (_number(tokenizer, key, names, folder) for key in ("bos_token", "eos_token", "pad_token"))
    return TokenizerFiles(tokenizer, bos, eos, pad, _length(settings, folder))


def _read(folder: Path, unknown: str) -> "Tokenizer":
    whole, vocabulary, merges = (folder / name for name in ("tokenizer.json", "vocab.json", "merges.txt"))
    with tokenizer_errors(folder):
        if whole.is_file():
            return _from_json(whole)
        if vocabulary.is_file() and merges.is_file():
            return _byte_pairs(str(vocabulary), str(merges), unknown)
    raise BundleError(
        f"{folder} has no tokenizer: it needs tokenizer.json, or vocab.json and merges.txt. "
        "Copy the one of the model that was exported"
    )


def _from_json(path: Path) -> "Tokenizer":
    with open_regular(path) as file:
        contents = file.read()
    prefix = _SUBWORD_PREFIX.search(contents)
    if prefix and prefix[1] not in (b"null", b'""'):  # tokenizers panics where it is longer than a token
        raise BundleError(f"{path} has a continuing_subword_prefix, which CLIP's has not: it is of another model")
    tokenizer: Tokenizer = tokenizers_module().Tokenizer.from_buffer(contents)
    return tokenizer


def _byte_pairs(vocabulary: str, merges: str, unknown: str) -> "Tokenizer":
    """CLIP's byte-pair tokenizer: splits words and single digits, and marks the end of a word."""
    module = tokenizers_module()
    models, normalizers, pre_tokenizers = module.models, module.normalizers, module.pre_tokenizers
    pairs = dict(zip(("vocab", "merges"), models.BPE.read_file(vocabulary, merges), strict=True))
    tokenizer: Tokenizer = module.Tokenizer(models.BPE(**pairs, end_of_word_suffix="</w>", unk_token=unknown))
    spaces = normalizers.Replace(module.Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), spaces, normalizers.Lowercase()])
    words = pre_tokenizers.Split(module.Regex(_WORDS), behavior="removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = module.decoders.ByteLevel()
    return tokenizer


def _number(tokenizer: "Tokenizer", key: str, names: Mapping[str, str], folder: Path) -> int:
    number = tokenizer.token_to_id(names[key])
    if number is None:
        raise BundleError(
            f"{folder}'s vocabulary has no {shown(names[key])}, which is its {key}: it is not a CLIP tokenizer"
        )
    return number


def _length(settings: Mapping[str, Any], folder: Path) -> int:
    length = settings.get("model_max_length")
    if length is None or (isinstance(length, (int, float)) and length > _LONGEST):
        return _DEFAULT_LENGTH
    if type(length) is not int or length < 3:
        raise BundleError(
            f"{folder / 'tokenizer_config.json'}'s model_max_length must be a whole number of at least 3, "
            f"not {shown(length)}: it is {_DEFAULT_LENGTH} for CLIP"
        )
    return length
