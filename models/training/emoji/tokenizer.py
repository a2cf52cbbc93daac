"""Trains a CLIP tokenizer on the captions: learns its byte pairs."""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from ddim_edge_export.output.record import write_json

START, END = "<|startoftext|>", "<|endoftext|>"
VOCABULARY = 2048
TOKENS = 24
"""Number of positions of the text encoder, start and end included; CLIP has 77."""
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def train_tokenizer(names: Iterable[str], folder: Path, vocabulary: int = VOCABULARY) -> CLIPTokenizer:
    """Learn byte pairs from ``names`` and write the tokenizer to ``folder``: vocab.json, merges.txt and their settings.

    There are at most ``vocabulary`` tokens. They include all 256 bytes, within a word and at its end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    merges = _merges(names, vocabulary)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges), START, END]
    write_json(folder / "vocab.json", {token: number for number, token in enumerate(dict.fromkeys(tokens))})
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges), ""]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": TOKENS, "do_lower_case": True, **special}
    write_json(folder / "tokenizer_config.json", settings)
    tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(str(folder))
    return tokenizer


def _merges(names: Iterable[str], vocabulary: int) -> list[tuple[str, str]]:
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    words = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(alphabet) - 2,
        end_of_word_suffix="</w>",
        initial_alphabet=alphabet,
        show_progress=False,
    )
    learner.train_from_iterator(names, trainer)
    pairs = json.loads(learner.to_str())["model"]["merges"]
    return [(first, second) for first, second in pairs]
