"""Adds textual inversions to a source: their embeddings to its text encoders, their names to the tokenizers."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ddim_edge.bundle.json_files import read_optional
from ddim_edge.bundle.layout import component_named
from ddim_edge.errors import ConfigError
from ddim_edge.files import write_file

from ..config_keys import Config
from .diffusers_folder import Component, Source
from .textual_inversion import read_textual_inversion

_FLAGS = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False, "special": False}


def with_textual_inversions(source: Source, files: Sequence[str], *, allow_pickle: bool = False) -> Source:
    """The same source with textual inversions, each FILE or FILE:TOKEN.

    ConfigError for files that are something else, for two of one name, and for those of another base model.
    """
    inversions = tuple(read_textual_inversion(file, allow_pickle=allow_pickle) for file in files)
    encoders = [component for component in source.components if component.name.startswith("text_encoder")]
    tokens = [inversion.token for inversion in inversions]
    for inversion in inversions:
        if tokens.count(inversion.token) > 1:
            raise ConfigError(f"two textual inversions are called {inversion.token}: give one of them as FILE:TOKEN")
        if not any(inversion.rows_for(encoder.name, encoder.config) for encoder in encoders):
            given = ", ".join(str(value.shape[1]) for value in inversion.vectors.values())
            widths = ", ".join(str(encoder.config.get("hidden_size")) for encoder in encoders) or "none"
            raise ConfigError(
                f"{inversion.path} has embeddings of width {given}, and the text encoders to export have {widths}: it "
                "is for another base model"
            )
    return dataclasses.replace(source, textual_inversions=inversions)


def text_config(component: Component, source: Source) -> Config:
    """The config of a text encoder, with the number of tokens that it has with the new ones."""
    rows = _rows(component, source)
    return {**component.config, "vocab_size": _first(component, source) + len(rows)} if rows else component.config


def add_embeddings(module: torch.nn.Module, component: Component, source: Source) -> None:
    """Add the new vectors to a text encoder's table of embeddings, behind the tokens that its tokenizer has."""
    rows = _rows(component, source)
    if not rows:
        return
    encoder: Any = module
    table = encoder.get_input_embeddings()
    kept = table.weight[: _first(component, source)]
    table.weight = torch.nn.Parameter(torch.cat([kept, torch.stack(list(rows.values()))]).detach())
    table.num_embeddings = len(table.weight)


def add_tokens(source: Source, out: Path) -> None:
    """Add the new tokens to the tokenizers in ``out``: to the file in which a tokenizer has those that were added."""
    for component in source.components:
        tokens = list(_rows(component, source))
        if tokens:
            _add(out / component_named(component.name).companion, tokens, _first(component, source))


def _add(folder: Path, tokens: Sequence[str], first: int) -> None:
    config = folder / "tokenizer_config.json"
    settings = read_optional(config)
    listed = settings.get("added_tokens_decoder")
    if listed is None:
        added = {**read_optional(folder / "added_tokens.json"), **{token: first + k for k, token in enumerate(tokens)}}
        write_file(folder / "added_tokens.json", json.dumps(added, indent=2).encode())
        return
    entries = {str(first + index): {"content": token, **_FLAGS} for index, token in enumerate(tokens)}
    write_file(config, json.dumps({**settings, "added_tokens_decoder": {**listed, **entries}}, indent=2).encode())


def _rows(component: Component, source: Source) -> dict[str, torch.Tensor]:
    """The new tokens of a component, in the order of their numbers, with their vectors; none but for text encoders."""
    if not component.name.startswith("text_encoder"):
        return {}
    found = (inversion.rows_for(component.name, component.config) for inversion in source.textual_inversions)
    return {token: vector for rows in found for token, vector in rows.items()}


def _first(component: Component, source: Source) -> int:
    """The number of the first new token. ConfigError where a name is a token already."""
    # The runtime's own reader, because it numbers the tokens. Imported here: its room imports the runtime.
    from ddim_edge.text.tokenizer import ClipTokenizer

    tokenizer = ClipTokenizer(source.folder / component_named(component.name).companion)
    for token in _rows(component, source):
        if tokenizer.has_token(token):
            raise ConfigError(f"the tokenizer has the token {token} already: give the textual inversion as FILE:TOKEN")
    return tokenizer.vocabulary_size
