"""Reads a tokenizer's special tokens, and how they are matched in a text.

Old folders have them in ``special_tokens_map.json`` and ``added_tokens.json``; since transformers 4.34 they are in
``tokenizer_config.json`` as ``added_tokens_decoder``, and since 5 in ``tokenizer.json``, except for their names. Which
file overrides which follows transformers, because token ids depend on it. For example, ``tokenizer_config.json`` of
Stable Diffusion 2 pads with ``<|endoftext|>``, but its ``special_tokens_map.json`` pads with ``!`` and wins. A special
token is matched before all others, so every ``!`` of a prompt becomes the padding token.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bundle.json_files import read_optional
from ..errors import BundleError, shortened, shown
from .tokenizers_module import tokenizers_module

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer

_EOS = "<|endoftext|>"
# In transformers' order: of two names for the same token, the later one decides how it is matched.
_DEFAULT = {"bos_token": "<|startoftext|>", "eos_token": _EOS, "unk_token": _EOS, "pad_token": _EOS}
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")

Settings = Mapping[str, Any]
"""The keys of a tokenizer folder's JSON files, merged."""


def read_settings(folder: Path) -> Settings:
    """Read the settings of a tokenizer folder, with the overriding ones applied."""
    settings = read_optional(folder / "tokenizer_config.json")
    if settings.get("added_tokens_decoder") is not None:
        return settings
    overriding = read_optional(folder / "special_tokens_map.json")
    return {**settings, **overriding, "added_tokens": read_optional(folder / "added_tokens.json")}


def special_names(settings: Settings, folder: Path) -> dict[str, str]:
    """The text of bos_token, eos_token, unk_token and pad_token. BundleError for one that is not a token."""
    try:
        return {key: _content(settings.get(key) or usual) for key, usual in _DEFAULT.items()}
    except (KeyError, TypeError) as error:
        raise _unreadable(folder, error) from None


def add_special_tokens(tokenizer: "Tokenizer", settings: Settings, folder: Path) -> None:
    """Register the special tokens, so that they are matched before all others. Raises BundleError for an invalid one.

    Tokens that are named but not in the vocabulary are left out.
    """
    try:
        listed = {token.content: token for token in _listed(settings)}
        tokenizer.add_tokens(list(listed.values()))
        known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
        values = {_content(value): value for value in (settings.get(key) or usual for key, usual in _DEFAULT.items())}
        new = [value for content, value in values.items() if content not in known]
        in_vocabulary = [value for value in new if tokenizer.token_to_id(_content(value)) is not None]
        tokenizer.add_tokens([_added(value, special=True) for value in in_vocabulary])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(folder, error) from None


def _listed(settings: Settings) -> Iterator["AddedToken"]:
    """The added tokens of the settings, sorted by id."""
    decoder = settings.get("added_tokens_decoder")
    if decoder is not None:
        for _, value in sorted(decoder.items(), key=lambda item: int(item[0])):
            yield _added(value, special=bool(value.get("special")))
        return
    special = {_content(settings.get(key) or usual) for key, usual in _DEFAULT.items()}
    added: Mapping[str, int] = settings["added_tokens"]
    for token in sorted(added, key=lambda token: int(added[token])):
        yield _added({"content": token, "normalized": token not in special}, special=token in special)


def _added(value: Any, *, special: bool) -> "AddedToken":
    flags = {flag: value[flag] for flag in _FLAGS if flag in value} if isinstance(value, Mapping) else {}
    token: AddedToken = tokenizers_module().AddedToken(_content(value), special=special, **flags)
    return token


def _content(value: Any) -> str:
    content = value["content"] if isinstance(value, Mapping) else value
    if not isinstance(content, str):
        raise TypeError(f"{shown(content)} is not a token")
    return content


def _unreadable(folder: Path, error: Exception) -> BundleError:
    return BundleError(
        f"{folder}'s special tokens cannot be read ({type(error).__name__}: {shortened(str(error))}): copy it again"
    )
