"""CLIP tokenizers, written once; the text side of a bundle."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from ddim_edge.text.tokenizer import ClipTokenizer
from tests.helpers.tiny_bundles import write_json

from .tokenizer_folders import write_tokenizer

NewBundle = Callable[..., Path]


@pytest.fixture(scope="session")
def sd1_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ClipTokenizer:
    """CLIP's, which fills chunks with eos."""
    return ClipTokenizer(write_tokenizer(tmp_path_factory.mktemp("sd1"), "sd1"))


@pytest.fixture(scope="session")
def sd2_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ClipTokenizer:
    """OpenCLIP's, which fills chunks with "!"."""
    return ClipTokenizer(write_tokenizer(tmp_path_factory.mktemp("sd2"), "sd2"))


@pytest.fixture(scope="session")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both of SDXL. Leave them as they are."""
    root = tmp_path_factory.mktemp("tokenizers")
    write_tokenizer(root / "tokenizer", "sd1")
    write_tokenizer(root / "tokenizer_2", "sdxl_2")
    return root


@pytest.fixture
def new_bundle(tmp_path: Path, tokenizers: Path) -> NewBundle:
    """Write the text side of a bundle, which the test may spoil."""

    def make(first: onnx.ModelProto | None = None, second: onnx.ModelProto | None = None, **index: Any) -> Path:
        for model, suffix in ((first, ""), (second, "_2")):
            if model is not None:
                (tmp_path / f"text_encoder{suffix}").mkdir()
                onnx.save_model(model, tmp_path / f"text_encoder{suffix}" / "model.onnx")
                shutil.copytree(tokenizers / f"tokenizer{suffix}", tmp_path / f"tokenizer{suffix}")
        write_json(tmp_path / "model_index.json", index)
        return tmp_path

    return make
