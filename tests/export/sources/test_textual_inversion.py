"""Textual inversions: files of every kind, what is refused, and the tokens as transformers adds them."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from ddim_edge.errors import ConfigError
from ddim_edge.text.tokenizer import ClipTokenizer
from ddim_edge_export.sources.diffusers_folder import Component, Source
from ddim_edge_export.sources.new_words import add_tokens, text_config, with_textual_inversions
from ddim_edge_export.sources.textual_inversion import read_textual_inversion
from tests.text.tokenizer_folders import write_tokenizer

VECTORS = torch.arange(6.0).reshape(2, 3)


def written(path: Path, tensors: Mapping[str, torch.Tensor]) -> str:
    save_file(dict(tensors), path)
    return str(path)


def source(folder: Path, layout: str = "sd1", second: bool = False) -> Source:
    """A source whose text encoders are of width 3."""
    names = ("text_encoder", "text_encoder_2")[: 1 + second]
    for name in names:
        write_tokenizer(folder / name.replace("text_encoder", "tokenizer"), layout)
    config = {"hidden_size": 3, "vocab_size": 49408}
    components = (Component(name=name, folder=folder / name, config=config, kind="CLIPTextModel") for name in names)
    return Source(folder=folder, index={}, components=tuple(components), graphs=names)


@pytest.mark.parametrize(
    ("stored", "argument", "token"),
    [
        ({"<cat>": VECTORS}, "{}", "<cat>"),
        ({"<cat>": VECTORS[0]}, "{}:<dog>", "<dog>"),
        ({"emb_params": VECTORS}, "{}", "style"),
        ({"clip_l": VECTORS, "clip_g": VECTORS}, "{}", "style"),
    ],
)
def test_names(tmp_path: Path, stored: Mapping[str, torch.Tensor], argument: str, token: str) -> None:
    path = written(tmp_path / "style.safetensors", {name: value.clone() for name, value in stored.items()})
    found = read_textual_inversion(argument.format(path))
    assert found.token == token
    rows = found.rows_for("text_encoder", {"hidden_size": 3})
    vectors = next(iter(stored.values())).reshape(-1, 3)
    assert list(rows) == [token, f"{token}_1"][: len(vectors)]
    assert torch.equal(torch.stack(list(rows.values())), vectors)


@pytest.mark.parametrize("stored", [{"<cat>": VECTORS}, {"name": "<cat>", "string_to_param": {"*": VECTORS}}])
def test_pickles_are_read_where_they_are_allowed(tmp_path: Path, stored: dict[str, Any]) -> None:
    torch.save(stored, tmp_path / "cat.pt")
    with pytest.raises(ConfigError, match="add --allow-pickle"):
        read_textual_inversion(str(tmp_path / "cat.pt"))
    found = read_textual_inversion(str(tmp_path / "cat.pt"), allow_pickle=True)
    assert (found.token, torch.equal(found.vectors[""], VECTORS)) == ("<cat>", True)


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ({"one": VECTORS, "two": VECTORS}, "needs one embedding, or clip_l and clip_g, not"),
        ({"<cat>": VECTORS / 0}, "not finite"),
        ({"<cat>": torch.zeros(0, 3)}, "is empty"),
        ({" ": VECTORS}, "cannot stand for a textual inversion"),
    ],
)
def test_what_is_no_inversion(tmp_path: Path, stored: dict[str, torch.Tensor], words: str) -> None:
    path = written(tmp_path / "cat.safetensors", {name: value.clone() for name, value in stored.items()})
    with pytest.raises(ConfigError, match=words):
        read_textual_inversion(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("no weights")
    for name in ("text", "gone"):
        with pytest.raises(ConfigError, match=f"cannot read the textual inversion .*{name}"):
            read_textual_inversion(str(tmp_path / f"{name}.safetensors"))


def test_what_does_not_fit_the_model(tmp_path: Path) -> None:
    cat = written(tmp_path / "cat.safetensors", {"<cat>": VECTORS})
    wide = written(tmp_path / "wide.safetensors", {"<wide>": torch.ones(4)})
    known = written(tmp_path / "known.safetensors", {"cat</w>": VECTORS})
    model = source(tmp_path / "model")
    with pytest.raises(ConfigError, match="two textual inversions are called <cat>: give one of them as FILE:TOKEN"):
        with_textual_inversions(model, [cat, cat])
    with pytest.raises(ConfigError, match=r"of width 4, and the text encoders to export have 3: .* another base model"):
        with_textual_inversions(model, [wide])
    taken = with_textual_inversions(model, [known])
    with pytest.raises(ConfigError, match="has the token cat</w> already"):
        text_config(taken.components[0], taken)


@pytest.mark.parametrize("layout", ["sd1", "sdxl_2", "inversion", "old_inversion"])
def test_tokens_are_those_that_transformers_adds(tmp_path: Path, layout: str) -> None:
    files = [
        written(tmp_path / "one.safetensors", {"<style>": VECTORS}),
        written(tmp_path / "two.safetensors", {"sks": VECTORS[0].clone()}),
    ]
    model = with_textual_inversions(source(tmp_path / "model", layout), files)
    shutil.copytree(tmp_path / "model", tmp_path / "bundle")
    add_tokens(model, tmp_path / "bundle")
    ours = ClipTokenizer(tmp_path / "bundle" / "tokenizer")
    theirs: Any = CLIPTokenizer.from_pretrained(str(tmp_path / "model" / "tokenizer"))
    assert theirs.add_tokens(["<style>", "<style>_1", "sks"]) == 3
    text, written_out = "A sks dog in <style>, <STYLE>!", "A sks dog in <style> <style>_1, <style> <style>_1!"
    assert ours.encode(text) == theirs(written_out, add_special_tokens=False).input_ids
    assert text_config(model.components[0], model)["vocab_size"] == ours.vocabulary_size == len(theirs)


def test_each_encoder_gets_its_own(tmp_path: Path) -> None:
    file = written(tmp_path / "xl.safetensors", {"clip_l": VECTORS, "clip_g": VECTORS.flip(0).contiguous()})
    model = with_textual_inversions(source(tmp_path / "model", second=True), [file])
    (inversion,) = model.textual_inversions
    first, second = (inversion.rows_for(part.name, part.config) for part in model.components)
    assert torch.equal(first["xl"], VECTORS[0])
    assert torch.equal(second["xl"], VECTORS[1])
