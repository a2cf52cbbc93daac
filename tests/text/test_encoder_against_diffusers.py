"""The text encoder against diffusers' encode_prompt, on tiny pipelines with random weights."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from ddim_edge.arrays import Conditioning
from ddim_edge.runtime.sessions.pool import Sessions
from ddim_edge.runtime.sessions.tensors import TensorInfo
from ddim_edge.text import Prompt, SizeHints, TextEncoder

from .tiny_pipelines import (
    POOLED,
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

pytestmark = pytest.mark.slow  # more than five seconds together

PROMPT = "A photo of an astronaut, riding 2 horses on Mars! Très détaillé — 8k"
LONG = "a red (cat) and " * 30
HINTS = SizeHints(target=(48, 64))
CLOSE = 1e-4


def unet_inputs(width: int, time_ids: int = 0) -> dict[str, TensorInfo]:
    infos = {"sample": ("batch", 4, "height", "width"), "timestep": ("batch",)}
    infos["encoder_hidden_states"] = ("batch", "sequence", width)
    if time_ids:
        infos |= {"text_embeds": ("batch", POOLED), "time_ids": ("batch", time_ids)}
    return {name: TensorInfo(name, np.dtype(np.float32), shape) for name, shape in infos.items()}


class Family(NamedTuple):
    """A pipeline and the text side of its bundle."""

    pipeline: Any
    encoder: TextEncoder
    modules: tuple[Any, ...]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tokenizers")
    return {layout: write_tokenizer(root / layout, layout) for layout in ("sd1", "sd2", "sdxl_2")}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    module = text_encoder(1, "quick_gelu")
    return module, export_encoder(module, tmp_path_factory.mktemp("first") / "model.onnx")


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    module = projecting_text_encoder(2, "gelu")
    return module, export_encoder(module, tmp_path_factory.mktemp("second") / "model.onnx")


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path], first: tuple[Any, Path]) -> Family:
    pipeline = sd_pipeline(first[0], folders["sd1"])
    folder = tmp_path_factory.mktemp("sd1")
    write_text_side(folder, pipeline, {"text_encoder": first[1]}, {"tokenizer": "sd1"})
    return Family(pipeline, TextEncoder.open(folder, unet_inputs(WIDTH), Sessions("cpu")), (first[0],))


@pytest.fixture(scope="module")
def sd2(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path]) -> Family:
    module = text_encoder(3, "gelu")
    pipeline = sd_pipeline(module, folders["sd2"])
    folder = tmp_path_factory.mktemp("sd2")
    graph = export_encoder(module, folder / "graph.onnx")
    write_text_side(folder, pipeline, {"text_encoder": graph}, {"tokenizer": "sd2"})
    return Family(pipeline, TextEncoder.open(folder, unet_inputs(WIDTH), Sessions("cpu")), (module,))


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def refiner(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path], second: tuple[Any, Path]) -> Family:
    pipeline = refiner_pipeline(second[0], folders["sdxl_2"])
    folder = tmp_path_factory.mktemp("refiner")
    write_text_side(folder, pipeline, {"text_encoder_2": second[1]}, {"tokenizer_2": "sdxl_2"})
    return Family(pipeline, TextEncoder.open(folder, unet_inputs(WIDTH, 5), Sessions("cpu")), (second[0],))


def encoded(family: Family, prompt: Prompt) -> list[Conditioning]:
    conditions = family.encoder.encode(prompt, HINTS)
    assert conditions.unconditional is not None
    return [conditions.conditioning, conditions.unconditional]


def assert_close(found: Conditioning, wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].dtype == np.float32
        assert found[name].shape == tuple(tensor.shape), name
        np.testing.assert_allclose(found[name], tensor.numpy(), atol=CLOSE, rtol=0, err_msg=name)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::ddim_edge.text.TruncationWarning")
@pytest.mark.parametrize("negative", [None, "", "blurry, ugly!"])
@pytest.mark.parametrize("text", [PROMPT, "", LONG, "!!"])
@pytest.mark.parametrize("name", ["sd1", "sd2"])
def test_stable_diffusion_1_and_2(name: str, text: str, negative: str | None, request: pytest.FixtureRequest) -> None:
    family: Family = request.getfixturevalue(name)
    theirs = family.pipeline.encode_prompt(text, "cpu", 1, True, negative)
    for found, wanted in zip(encoded(family, Prompt(text=text, negative=negative)), theirs, strict=True):
        assert_close(found, {"encoder_hidden_states": wanted})
        assert wanted.abs().max() > 0.5


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::ddim_edge.text.TruncationWarning")
@pytest.mark.parametrize("negative", [None, "", "blurry, ugly!"])
@pytest.mark.parametrize("text", [PROMPT, "", LONG])
def test_sdxl(sdxl: Family, text: str, negative: str | None) -> None:
    theirs = sdxl.pipeline.encode_prompt(text, device="cpu", negative_prompt=negative)
    time_ids = sdxl.pipeline._get_add_time_ids((48, 64), (0, 0), (48, 64), torch.float32, POOLED)
    found = encoded(sdxl, Prompt(text=text, negative=negative))
    for side in (0, 1):
        wanted = {"encoder_hidden_states": theirs[side], "text_embeds": theirs[2 + side], "time_ids": time_ids}
        assert_close(found[side], wanted)
    assert theirs[0].abs().max() > 0.5
    assert theirs[2].abs().max() > 0.5


@torch.no_grad()
@pytest.mark.parametrize("negative", [None, "blurry"])
def test_the_refiner(refiner: Family, negative: str | None) -> None:
    theirs = refiner.pipeline.encode_prompt(PROMPT, device="cpu", negative_prompt=negative)
    sizes = ((48, 64), (0, 0), (48, 64))
    scores = (6.0, 2.5)
    time_ids = refiner.pipeline._get_add_time_ids(
        *sizes, *scores, *sizes, dtype=torch.float32, text_encoder_projection_dim=POOLED
    )
    found = encoded(refiner, Prompt(text=PROMPT, negative=negative))
    for side in (0, 1):
        wanted = {"encoder_hidden_states": theirs[side], "text_embeds": theirs[2 + side], "time_ids": time_ids[side]}
        assert_close(found[side], wanted)


@torch.no_grad()
def test_a_long_prompt_is_its_chunks_side_by_side(sdxl: Family) -> None:
    """Each chunk as transformers encodes it; the pooled output is the first chunk's; the other side is filled up."""
    words = [f"cat{number} dog" for number in range(60)]  # three or four tokens each
    prompt = Prompt(text=" ".join(words), negative="blurry", long=True)
    conditioning, unconditional = encoded(sdxl, prompt)
    tokenizers = (sdxl.pipeline.tokenizer, sdxl.pipeline.tokenizer_2)
    for found, text in ((conditioning, prompt.text), (unconditional, "blurry")):
        parts = [
            torch_chunks(module, tokenizer, text, found["encoder_hidden_states"].shape[1] // 77)
            for module, tokenizer in zip(sdxl.modules, tokenizers, strict=True)
        ]
        wanted = torch.cat([hidden for hidden, _ in parts], dim=-1)
        assert wanted.shape[1] > 77
        np.testing.assert_allclose(found["encoder_hidden_states"], wanted.numpy(), atol=CLOSE, rtol=0)
        np.testing.assert_allclose(found["text_embeds"], parts[1][1].numpy(), atol=CLOSE, rtol=0)


def torch_chunks(module: Any, tokenizer: Any, text: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The penultimate hidden states of ``count`` chunks in a row, and the first output of the first."""
    ids = tokenizer(text, add_special_tokens=False).input_ids
    chunks = [ids[start : start + 75] for start in range(0, 75 * count, 75)]
    framed = [tokenizer.decode(chunk) for chunk in chunks]
    again = tokenizer(framed, padding="max_length", max_length=77, return_tensors="pt").input_ids
    outputs = [module(row[None], output_hidden_states=True) for row in again]
    return torch.cat([output.hidden_states[-2] for output in outputs], dim=1), outputs[0][0]


@torch.no_grad()
def test_weights_scale_the_hidden_states_and_keep_their_mean(sd1: Family) -> None:
    plain = encoded(sd1, Prompt(text="a red cat"))[0]["encoder_hidden_states"]
    weighted = encoded(sd1, Prompt(text="a (red:1.5) cat", weighted=True))[0]["encoder_hidden_states"]
    factors = np.ones((1, 77, 1), np.float32)
    factors[0, 2] = 1.5
    wanted = plain * factors * (plain.mean() / (plain * factors).mean())
    np.testing.assert_allclose(weighted, wanted, rtol=1e-3, atol=1e-5)
    assert np.abs(weighted - plain).max() > 0.1
