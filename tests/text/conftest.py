"""CLIP tokenizers, written once; the text side of a bundle."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from ddim_edge.runtime.sessions.pool import Sessions
from ddim_edge.text import TextEncoder
from ddim_edge.text.tokenizer import ClipTokenizer
from tests.helpers.tiny_bundles import write_json

from .text_families import Family, unet_inputs
from .tiny_pipelines import (
    WIDTH,
    export_encoder,
    projecting_text_encoder,
    refiner_pipeline,
    sd_pipeline,
    sdxl_pipeline,
    text_encoder,
    write_text_side,
)
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


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tokenizers")
    return {layout: write_tokenizer(root / layout, layout) for layout in ("sd1", "sd2", "sdxl_2")}


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    module = text_encoder(1, "quick_gelu")
    return module, export_encoder(module, tmp_path_factory.mktemp("first") / "model.onnx")


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    module = projecting_text_encoder(2, "gelu")
    return module, export_encoder(module, tmp_path_factory.mktemp("second") / "model.onnx")


@pytest.fixture(scope="session")
def sd1(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path], first: tuple[Any, Path]) -> Family:
    pipeline = sd_pipeline(first[0], folders["sd1"])
    folder = tmp_path_factory.mktemp("sd1")
    write_text_side(folder, pipeline, {"text_encoder": first[1]}, {"tokenizer": "sd1"})
    return Family(pipeline, TextEncoder.open(folder, unet_inputs(WIDTH), Sessions("cpu")), (first[0],))


@pytest.fixture(scope="session")
def sd2(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path]) -> Family:
    module = text_encoder(3, "gelu")
    pipeline = sd_pipeline(module, folders["sd2"])
    folder = tmp_path_factory.mktemp("sd2")
    graph = export_encoder(module, folder / "graph.onnx")
    write_text_side(folder, pipeline, {"text_encoder": graph}, {"tokenizer": "sd2"})
    return Family(pipeline, TextEncoder.open(folder, unet_inputs(WIDTH), Sessions("cpu")), (module,))


@pytest.fixture(scope="session")
def sdxl(
    tmp_path_factory: pytest.TempPathFactory,
    folders: dict[str, Path],
    first: tuple[Any, Path],
    second: tuple[Any, Path],
) -> Family:
    tokenizers = folders["sd1"], folders["sdxl_2"]
    pipeline = sdxl_pipeline(first[0], second[0], tokenizers)
    folder = tmp_path_factory.mktemp("sdxl")
    graphs = {"text_encoder": first[1], "text_encoder_2": second[1]}
    write_text_side(folder, pipeline, graphs, {"tokenizer": "sd1", "tokenizer_2": "sdxl_2"})
    return Family(pipeline, TextEncoder.open(folder, unet_inputs(2 * WIDTH, 6), Sessions("cpu")), (first[0], second[0]))


@pytest.fixture(scope="session")
def refiner(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path], second: tuple[Any, Path]) -> Family:
    pipeline = refiner_pipeline(second[0], folders["sdxl_2"])
    folder = tmp_path_factory.mktemp("refiner")
    write_text_side(folder, pipeline, {"text_encoder_2": second[1]}, {"tokenizer_2": "sdxl_2"})
    return Family(pipeline, TextEncoder.open(folder, unet_inputs(WIDTH, 5), Sessions("cpu")), (second[0],))
