"""CLIP's real vocabulary, in the folder layouts that published models have."""

import functools
import gzip
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

START, END = "<|startoftext|>", "<|endoftext|>"
_PACKAGES = ("clip", "open_clip")  # openai-clip and open_clip_torch ship the same file


def _token(content: str, *, normalized: bool = True, **more: Any) -> dict[str, Any]:
    flags = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": normalized}
    return {"content": content, **flags, **more}


_PLAIN: Mapping[str, Any] = {"model_max_length": 77, "tokenizer_class": "CLIPTokenizer", "do_lower_case": True}
_TYPED = {"bos_token": _token(START, __type="AddedToken"), "eos_token": _token(END, __type="AddedToken")}
_MAP = {"bos_token": _token(START), "eos_token": _token(END), "unk_token": _token(END)}
_DECODER = {
    "0": _token("!", normalized=False, special=True),
    "49406": _token(START, special=True),
    "49407": _token(END, special=True),
}
_NAMES = {"bos_token": START, "eos_token": END, "unk_token": END}

LAYOUTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    # As Stable Diffusion 1.5 has it: what fills a chunk is eos.
    "sd1": {
        "tokenizer_config.json": {**_PLAIN, **_TYPED, "unk_token": _TYPED["eos_token"], "pad_token": END},
        "special_tokens_map.json": {**_MAP, "pad_token": END},
    },
    # As Stable Diffusion 2.1 has it: the second file contradicts the first, and is right.
    "sd2": {
        "tokenizer_config.json": {**_PLAIN, **_TYPED, "unk_token": _TYPED["eos_token"], "pad_token": END},
        "special_tokens_map.json": {**_MAP, "pad_token": "!"},
    },
    # As SDXL's second tokenizer has it.
    "sdxl_2": {
        "tokenizer_config.json": {**_PLAIN, **_NAMES, "pad_token": "!", "added_tokens_decoder": _DECODER},
        "special_tokens_map.json": {**_MAP, "pad_token": "!"},
    },
    # With words that textual inversion added, new and old.
    "inversion": {
        "tokenizer_config.json": {
            **_PLAIN,
            **_NAMES,
            "pad_token": END,
            "added_tokens_decoder": {
                **_DECODER,
                "49408": _token("<cat-toy>"),
                "49409": _token("Mars", normalized=False),
            },
        },
    },
    "old_inversion": {
        "tokenizer_config.json": {**_PLAIN, **_TYPED},
        "special_tokens_map.json": {**_MAP, "pad_token": END},
        "added_tokens.json": {"<cat-toy>": 49409, "Mars": 49408},
    },
    "bare": {"tokenizer_config.json": {"model_max_length": 77}},
}


def write_tokenizer(folder: Path, layout: str = "sd1") -> Path:
    """Write the vocabulary and a layout's own files."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = _vocabulary()
    (folder / "vocab.json").write_text(vocabulary, encoding="utf-8")
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    for name, value in LAYOUTS[layout].items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return folder


@functools.cache
def _vocabulary() -> tuple[str, str]:
    """As the texts of vocab.json and merges.txt, made as CLIP's own code makes them of its file."""
    lines = gzip.decompress(_file().read_bytes()).decode().split("\n")
    merges = lines[1 : 49152 - 256 - 2 + 1]
    characters = _byte_characters()
    pairs = [merge.replace(" ", "") for merge in merges]
    tokens = [*characters, *(character + "</w>" for character in characters), *pairs, START, END]
    return json.dumps({token: number for number, token in enumerate(tokens)}), "\n".join(["#version: 0.2", *merges, ""])


def _byte_characters() -> list[str]:
    """A visible character for each of the 256 bytes: first those that are their own, then the others."""
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [*map(chr, own), *(chr(256 + number) for number in range(256 - len(own)))]


def _file() -> Path:
    for package in _PACKAGES:
        found = importlib.util.find_spec(package)
        if found is not None and found.origin is not None:
            return Path(found.origin).with_name("bpe_simple_vocab_16e6.txt.gz")
    raise FileNotFoundError("CLIP's vocabulary is in the package openai-clip: pip install openai-clip")
