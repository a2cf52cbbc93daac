"""Tokenizer folders that cannot be read, and what is said of them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.errors import BundleError
from ddim_edge.text.tokenizer import ClipTokenizer
from ddim_edge.text.tokenizers_module import tokenizer_errors
from tests.helpers.tiny_bundles import write_json

VOCABULARY = {"a</w>": 0, "<|startoftext|>": 1, "<|endoftext|>": 2}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A tokenizer of one word. The folder has a name of its own, and may be spoilt."""
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    write_json(folder / "vocab.json", VOCABULARY)
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


def test_the_least_that_is_one(small: Path) -> None:
    tokenizer = ClipTokenizer(small)
    assert (tokenizer.bos, tokenizer.eos, tokenizer.pad, tokenizer.length) == (1, 2, 2, 77)
    assert tokenizer.encode("A a") == [0, 0]


@pytest.mark.parametrize("length", [10**30, 1e30, None])
def test_a_length_that_is_none_is_the_usual_one(small: Path, length: Any) -> None:
    write_json(small / "tokenizer_config.json", {"model_max_length": length})
    assert ClipTokenizer(small).length == 77


@pytest.mark.parametrize("length", [0, 2, -1, "77", 7.5, True])
def test_a_length_without_room_is_an_error(small: Path, length: Any) -> None:
    write_json(small / "tokenizer_config.json", {"model_max_length": length})
    with pytest.raises(BundleError, match=r"tokenizer_config\.json's model_max_length must be a whole number"):
        ClipTokenizer(small)


def test_no_tokenizer_says_what_one_needs(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "tokenizer"):
        with pytest.raises(BundleError, match=r"has no tokenizer: it needs tokenizer\.json, or vocab\.json and merges"):
            ClipTokenizer(folder)


def test_half_a_tokenizer_is_none(small: Path) -> None:
    (small / "merges.txt").unlink()
    with pytest.raises(BundleError, match="has no tokenizer: it needs"):
        ClipTokenizer(small)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "tokenizer.json"])
@pytest.mark.parametrize("text", [b"{", b"\xff\xfe", b"[1, 2]", b"x"])
def test_broken_files_are_named(small: Path, name: str, text: bytes) -> None:
    (small / name).write_bytes(text)
    with pytest.raises(BundleError, match="tokenizer has no tokenizer that can be read"):
        ClipTokenizer(small)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"])
def test_broken_settings_are_named(small: Path, name: str) -> None:
    (small / name).write_text("{")
    with pytest.raises(BundleError, match=f"{name} is not JSON"):
        ClipTokenizer(small)


@pytest.mark.parametrize(
    "settings",
    [
        {"added_tokens_decoder": [1]},
        {"added_tokens_decoder": {"x": {"content": "y"}}},
        {"added_tokens_decoder": {"3": {}}},
        {"added_tokens_decoder": {"3": {"content": "y", "lstrip": "no"}}},
        {"pad_token": {"lstrip": True}},
        {"pad_token": 3},
    ],
)
def test_settings_of_the_wrong_kind_are_named(small: Path, settings: dict[str, Any]) -> None:
    write_json(small / "tokenizer_config.json", settings)
    with pytest.raises(BundleError, match="tokenizer's special tokens cannot be read"):
        ClipTokenizer(small)


@pytest.mark.parametrize("key", ["bos_token", "eos_token", "pad_token"])
def test_special_tokens_must_be_in_the_vocabulary(small: Path, key: str) -> None:
    """Those that transformers would add as new are unknown to the encoder."""
    write_json(small / "tokenizer_config.json", {key: "<new>"})
    with pytest.raises(BundleError, match=f"vocabulary has no '<new>', which is its {key}"):
        ClipTokenizer(small)


def test_a_prefix_at_which_the_package_panics_is_refused(small: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import tokenizers

    model = tokenizers.models.BPE(vocab=VOCABULARY, merges=[], end_of_word_suffix="</w>")
    whole = json.loads(tokenizers.Tokenizer(model).to_str())
    whole["model"]["continuing_subword_prefix"] = "y" * 30_000
    write_json(small / "tokenizer.json", whole)
    with pytest.raises(BundleError, match=r"tokenizer\.json has a continuing_subword_prefix"):
        ClipTokenizer(small)
    assert "panicked" not in capfd.readouterr().err


class _Panic(BaseException):
    """As PyO3's PanicException, which is no Exception."""


def test_a_panic_of_the_package_is_an_error_of_the_bundle(small: Path) -> None:
    with (
        pytest.raises(BundleError, match="has no tokenizer that can be read or used: _Panic: x"),
        tokenizer_errors(small),
    ):
        raise _Panic("x")
    with pytest.raises(KeyboardInterrupt), tokenizer_errors(small):
        raise KeyboardInterrupt


def test_without_the_package_it_is_said_how_to_install_it(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(BundleError, match=r"tokenizers is not installed: pip install 'tokenizers>=0\.22'"):
        ClipTokenizer(small)


def test_padding_and_truncation_that_a_file_asks_for_are_not_done_twice(small: Path) -> None:
    import tokenizers

    model = tokenizers.models.BPE(vocab=VOCABULARY, merges=[], end_of_word_suffix="</w>")
    whole = json.loads(tokenizers.Tokenizer(model).to_str())
    whole["truncation"] = {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}
    whole["padding"] = {
        "strategy": {"Fixed": 5}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 2, "pad_type_id": 0, "pad_token": "<|endoftext|>",
    }  # fmt: skip
    whole["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    write_json(small / "tokenizer.json", whole)
    assert ClipTokenizer(small).encode("a a a") == [0, 0, 0]


def test_a_word_for_unknown_words_that_is_not_in_the_vocabulary(small: Path) -> None:
    write_json(small / "tokenizer_config.json", {"unk_token": "x" * 5000})
    with pytest.raises(BundleError, match=r"tokenizer that can be read or used: .*Unk token .xxx.*Copy it") as error:
        ClipTokenizer(small).encode("b")
    assert len(str(error.value)) < 500
