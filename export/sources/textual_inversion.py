"""Textual inversions: reads files with the embeddings of a new word.

Gal et al. 2022 (https://arxiv.org/abs/2208.01618). As diffusers' ``load_textual_inversion`` does, a word of several
vectors becomes several tokens: NAME, NAME_1, NAME_2 and so on, of which a prompt has only NAME.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ddim_edge.bundle.layout import numbered
from ddim_edge.errors import ConfigError, listed, shown
from ddim_edge.files import open_regular

from ..config_keys import Config
from ..output.record import file_entry

_SAFE = ".safetensors"
_BY_ENCODER = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}
"""The names of the embeddings in a file for SDXL's two encoders."""
_UNNAMED = ("emb_params", *_BY_ENCODER.values())


@dataclass(frozen=True, kw_only=True)
class TextualInversion:
    """A word and its vectors.

    Attributes:
        token: what stands for it in a prompt.
        vectors: float32 (number of vectors, width), by the name of an encoder in the file: clip_l, clip_g; or those
            without a name, for encoders of that width.
    """

    path: Path
    token: str
    vectors: Mapping[str, torch.Tensor]

    def rows_for(self, name: str, config: Config) -> dict[str, torch.Tensor]:
        """Its tokens in a text encoder, each with its vector; empty if the encoder gets none."""
        found = self.vectors.get(_BY_ENCODER.get(name, ""), self.vectors.get(""))
        if found is None or found.shape[1] != config.get("hidden_size"):
            return {}
        return {numbered(self.token, index): vector for index, vector in enumerate(found)}

    def to_json(self) -> dict[str, Any]:
        """The entry in export.json."""
        return {"file": self.path.name, "token": self.token, **file_entry(self.path)}


def read_textual_inversion(argument: str, *, allow_pickle: bool = False) -> TextualInversion:
    """Read FILE or FILE:TOKEN. Without TOKEN it is the file's own, or its name. ConfigError for another file."""
    path, token = _file_and_token(argument)
    stored = _read(path, allow_pickle=allow_pickle)
    if isinstance(inner := stored.get("string_to_param"), Mapping):  # A1111's pickles
        stored = {str(stored.get("name") or path.stem): vector for vector in inner.values()}
    vectors = {str(name): value for name, value in stored.items() if isinstance(value, torch.Tensor)}
    if len(vectors) == 1 and next(iter(vectors)) not in _BY_ENCODER.values():
        (name,) = vectors
        token, vectors = token or (path.stem if name in _UNNAMED else name), {"": vectors[name]}
    elif not vectors or not vectors.keys() <= {*_BY_ENCODER.values()}:
        found = listed(map(str, stored))
        raise ConfigError(f"{path} is no textual inversion: it needs one embedding, or clip_l and clip_g, not {found}")
    if not all(value.numel() > 1 and value.ndim in (1, 2) and value.isfinite().all() for value in vectors.values()):
        raise ConfigError(f"{path} has an embedding that is empty, of another shape, or not finite: get the file again")
    shaped = {name: value.float().reshape(-1, value.shape[-1]) for name, value in vectors.items()}
    return TextualInversion(path=path, token=_checked(token or path.stem, path), vectors=shaped)


def _file_and_token(argument: str) -> tuple[Path, str]:
    name, _, token = argument.rpartition(":")
    return (Path(name), token) if name and not Path(argument).exists() else (Path(argument), "")


def _checked(token: str, path: Path) -> str:
    if not token.strip() or token != token.strip() or len(token) > 100 or not token.isprintable():
        raise ConfigError(f"{path}: {shown(token)} cannot stand for a textual inversion in a prompt: give FILE:TOKEN")
    return token


def _read(path: Path, *, allow_pickle: bool) -> Mapping[str, Any]:
    try:
        open_regular(path).close()
        if path.suffix == _SAFE:
            return load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise ConfigError(f"cannot read the textual inversion {path}: {shown(str(error))}") from None
    if not allow_pickle:
        raise ConfigError(f"{path} does not end in {_SAFE}: take the embedding in that format, or add --allow-pickle")
    try:
        stored: Mapping[str, Any] = dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception:  # whatever the bytes of a stranger lead to
        raise ConfigError(f"{path} is damaged, or has more than weights and could run code") from None
    return stored
