"""The tokenizer against transformers' CLIPTokenizer, on CLIP's real vocabulary."""

from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from ddim_edge.text.tokenizer import ClipTokenizer

from .prompts import prompts
from .tokenizer_folders import LAYOUTS, write_tokenizer

COUNT = 10_000


def ours(folder: Path, texts: list[str]) -> list[list[int]]:
    tokenizer = ClipTokenizer(folder)
    return [list(tokenizer.chunk(tokenizer.encode(text)[: tokenizer.text_length])) for text in texts]


def theirs(folder: Path, texts: list[str]) -> list[list[int]]:
    tokenizer = CLIPTokenizer.from_pretrained(str(folder))
    ids: list[list[int]] = tokenizer(texts, padding="max_length", max_length=77, truncation=True).input_ids
    return ids


def assert_same(folder: Path, texts: list[str]) -> None:
    for text, mine, wanted in zip(texts, ours(folder, texts), theirs(folder, texts), strict=True):
        assert mine == wanted, text


def test_ten_thousand_prompts(tmp_path: Path) -> None:
    texts = prompts(COUNT)
    assert len(set(texts)) == COUNT
    assert sum(len(text) > 300 for text in texts) > 200
    assert_same(write_tokenizer(tmp_path), texts)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(tmp_path: Path, layout: str) -> None:
    assert_same(write_tokenizer(tmp_path, layout), prompts(300))


@pytest.mark.parametrize("layout", ["sd1", "sd2", "inversion"])
def test_a_layout_as_transformers_saves_it(tmp_path: Path, layout: str) -> None:
    written = write_tokenizer(tmp_path / "old", layout)
    CLIPTokenizer.from_pretrained(str(written)).save_pretrained(str(tmp_path / "new"))
    assert (tmp_path / "new" / "tokenizer.json").is_file()
    assert not (tmp_path / "new" / "vocab.json").exists()
    assert_same(tmp_path / "new", prompts(300))
    assert ours(tmp_path / "new", prompts(300)) == ours(written, prompts(300))


@pytest.mark.parametrize(
    ("layout", "ids"),
    [("sd1", [49406, 3306, 1002, 256, 49407, 49407, 49407]), ("sd2", [49406, 3306, 1002, 0, 49407, 0, 0])],
)
def test_what_fills_a_chunk_is_no_longer_an_ordinary_word(tmp_path: Path, layout: str, ids: list[int]) -> None:
    assert ours(write_tokenizer(tmp_path, layout), ["hello world!"])[0][:7] == ids


def test_words_are_what_was_read(tmp_path: Path) -> None:
    tokenizer = ClipTokenizer(write_tokenizer(tmp_path, "sd2"))
    assert tokenizer.decode(tokenizer.encode("A Cat,  on\nthe ROOF")) == "a cat , on the roof"
    assert tokenizer.decode(tokenizer.encode("wow!")) == "wow !"
    assert tokenizer.decode([]) == ""
