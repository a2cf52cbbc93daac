"""Every component of every family, exported, beside diffusers at shapes that the exporter never saw."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from ddim_edge.bundle.verify import verify_files
from tests.helpers.exported import Exports
from tests.helpers.tiny_networks import Diffusers, safety_checker, tiny_autoencoder

from .conftest import Export, Family

Arrays = dict[str, NDArray[Any]]
SHAPES = [(2, 16, 8), (4, 9, 23)]


def agree(got: NDArray[Any], expected: torch.Tensor) -> None:
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    assert np.abs(got - expected.numpy()).max() <= 1e-4 * float(expected.std())


def tensors(inputs: Arrays) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in inputs.items()}


def normal(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32)


def question(batch: int, height: int, width: int, text_width: int) -> Arrays:
    """What every conditional UNet is asked."""
    return {
        "sample": normal(batch, 4, height, width),
        "timestep": np.arange(batch, dtype=np.float32) * 300.5,
        "encoder_hidden_states": normal(batch, 60 + batch, text_width),
    }


def check_unet(family: Family, inputs: Arrays, **arguments: Any) -> None:
    """Run a UNet's graph, and diffusers with the inputs and ``arguments``."""
    named = {name: value for name, value in tensors(inputs).items() if name not in ("text_embeds", "time_ids")}
    with torch.no_grad():
        expected = family.torch.unet(**named, **arguments).sample
    agree(family.run("unet", inputs)["out_sample"], expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["stable-diffusion", "stable-diffusion-2"])
def test_unet_of_stable_diffusion(name: str, shape: tuple[int, int, int], export: Export) -> None:
    check_unet(export(name), question(*shape, 16))


@pytest.mark.parametrize("shape", SHAPES)
def test_unet_with_an_embedded_guidance_scale(shape: tuple[int, int, int], export: Export) -> None:
    family = export("lcm")
    scales = torch.arange(shape[0]) + 6.5
    embedded = family.torch.get_guidance_scale_embedding(scales, embedding_dim=12).numpy()
    check_unet(family, question(*shape, 16) | {"timestep_cond": embedded})


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("name", "text_width", "time_ids"),
    [("sdxl", 32, [1024, 768, 0, 8, 1024, 1024]), ("sdxl-refiner", 16, [1024, 768, 0, 8, 6])],
)
def test_unet_of_sdxl(
    name: str, text_width: int, time_ids: list[float], shape: tuple[int, int, int], export: Export
) -> None:
    batch = shape[0]
    added = {"text_embeds": normal(batch, 16), "time_ids": np.array([time_ids] * batch, np.float32)}
    added["time_ids"][0, 0] = 512
    inputs = question(*shape, text_width) | added
    check_unet(export(name), inputs, added_cond_kwargs=tensors(added))


@pytest.mark.parametrize("shape", SHAPES)
def test_two_controls_of_other_strengths(shape: tuple[int, int, int], export: Export) -> None:
    family, inputs = export("controlnet"), question(*shape, 16)
    batch, height, width = shape
    # The control image is 2 times as large as the latents: this ControlNet embeds it in two levels.
    controls = [
        (0.7, normal(batch, 3, 2 * height, 2 * width)),
        (0.4, normal(batch, 3, 2 * width, 2 * height).swapaxes(2, 3)),
    ]
    residuals: Arrays = {}
    for scale, control in controls:
        for name, value in family.run("controlnet", inputs | {"controlnet_cond": control.copy()}).items():
            residuals[name] = residuals.get(name, np.float32(0)) + np.float32(scale) * value

    network = family.torch.controlnet.nets[0]
    both = Diffusers.MultiControlNetModel([network, network])
    with torch.no_grad():
        down, middle = both(
            **tensors(inputs),
            controlnet_cond=[torch.from_numpy(control.copy()) for _, control in controls],
            conditioning_scale=[scale for scale, _ in controls],
            return_dict=False,
        )
        expected = family.torch.unet(
            **tensors(inputs), down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample
        without = family.torch.unet(**tensors(inputs)).sample
    assert float((expected - without).abs().max()) > 0.01 * float(expected.std())
    agree(family.run("unet", inputs | residuals)["out_sample"], expected)


@pytest.mark.parametrize("shape", [(2, 16, 8), (4, 8, 24)])
def test_class_conditional_latents(shape: tuple[int, int, int], export: Export) -> None:
    inputs = {name: value for name, value in question(*shape, 16).items() if name != "encoder_hidden_states"}
    check_unet(export("latent-classes"), inputs | {"class_labels": np.arange(shape[0]) % 3})


@pytest.mark.parametrize(
    ("name", "component", "pooled"),
    [
        ("stable-diffusion", "text_encoder", "pooler_output"),
        ("stable-diffusion-2", "text_encoder", "pooler_output"),
        ("sdxl", "text_encoder_2", "text_embeds"),
    ],
)
@pytest.mark.parametrize("prompts", [["a b c", ""], ["x y", "hello world", "ab" * 30, "z"]])
def test_text_encoders(name: str, component: str, pooled: str, prompts: list[str], export: Export) -> None:
    family = export(name)
    encoder = getattr(family.torch, component)
    tokens = family.torch.tokenizer_2 if component == "text_encoder_2" else family.torch.tokenizer
    ids = tokens(prompts, padding="max_length", truncation=True, return_tensors="np").input_ids.astype(np.int64)
    with torch.no_grad():
        expected = encoder(torch.from_numpy(ids), output_hidden_states=True)
    got = family.run(component, {"input_ids": ids})
    assert list(got) == ["last_hidden_state", pooled, "hidden_states.0", "hidden_states.1", "hidden_states.2"]
    agree(got["last_hidden_state"], expected.last_hidden_state)
    agree(got[pooled], expected[pooled])
    for layer, hidden in enumerate(expected.hidden_states):
        agree(got[f"hidden_states.{layer}"], hidden)


def test_sdxl_takes_the_last_but_one_hidden_state(export: Export) -> None:
    family, prompts = export("sdxl"), ["a b", "c"]
    embeddings, _, pooled, _ = family.torch.encode_prompt(prompts, device="cpu", do_classifier_free_guidance=False)
    ids = family.torch.tokenizer_2(prompts, padding="max_length", return_tensors="np").input_ids.astype(np.int64)
    got = family.run("text_encoder_2", {"input_ids": ids})
    agree(got["hidden_states.1"], embeddings[:, :, -16:].detach())
    agree(got["text_embeds"], pooled.detach())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["stable-diffusion", "latent-classes"])
def test_decoder(name: str, shape: tuple[int, int, int], export: Export) -> None:
    family = export(name)
    autoencoder = family.torch.vqvae if name == "latent-classes" else family.torch.vae
    batch, height, width = shape
    latents = normal(batch, 4, height, width)
    with torch.no_grad():
        expected = autoencoder.decode(torch.from_numpy(latents)).sample
    assert expected.shape[2:] == (2 * height, 2 * width)
    agree(family.run("vae_decoder", {"latent_sample": latents})["sample"], expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_encoder(shape: tuple[int, int, int], export: Export) -> None:
    family = export("stable-diffusion")
    batch, height, width = shape
    pixels = normal(batch, 3, 2 * height, 2 * width)
    with torch.no_grad():
        expected = family.torch.vae.encode(torch.from_numpy(pixels)).latent_dist
    parameters = family.run("vae_encoder", {"sample": pixels})["latent_parameters"]
    agree(parameters, expected.parameters)
    agree(parameters[:, :4], expected.mean)


def test_the_safety_checker_blackens_what_it_finds(export: Export) -> None:
    family = export("stable-diffusion")
    pixels, images = 3 * normal(24, 3, 8, 8), normal(24, 16, 8, 3)
    expected, unsafe = safety_checker().eval()(torch.from_numpy(pixels), torch.from_numpy(images.copy()))
    assert 3 < sum(unsafe) < 21
    got = family.run("safety_checker", {"clip_input": pixels, "images": images})
    assert got["has_nsfw_concepts"].tolist() == unsafe
    np.testing.assert_array_equal(got["out_images"], expected.numpy())


def test_another_autoencoder_in_its_place(export: Export, exports: Exports, tmp_path: Path) -> None:
    tiny_autoencoder(tmp_path / "tiny")
    components = ("vae_encoder", "vae_decoder")
    exports.export(export("stable-diffusion").source, tmp_path / "bundle", components, vae=tmp_path / "tiny")
    tiny = Diffusers.AutoencoderTiny.from_pretrained(tmp_path / "tiny")
    index = json.loads((tmp_path / "bundle" / "model_index.json").read_text())
    assert index["vae"] == ["diffusers", "AutoencoderTiny"]
    assert index["unet"] == [None, None]
    for batch, height, width in SHAPES:
        latents, pixels = normal(batch, 4, height, width), normal(batch, 3, 2 * height, 2 * width)
        with torch.no_grad():
            decoded, encoded = (
                tiny.decode(torch.from_numpy(latents)).sample,
                tiny.encode(torch.from_numpy(pixels)).latents,
            )
        for component, inputs, output, expected in (
            ("vae_decoder", {"latent_sample": latents}, "sample", decoded),
            ("vae_encoder", {"sample": pixels}, "latent_sample", encoded),
        ):
            session = onnxruntime.InferenceSession(
                tmp_path / "bundle" / component / "model.onnx", providers=["CPUExecutionProvider"]
            )
            agree(session.run([output], inputs)[0], expected)


def test_the_bundle_is_whole(export: Export) -> None:
    family = export("stable-diffusion")
    folder, source = family.bundle, family.source
    graphs = sorted(path.parent.name for path in folder.glob("*/model.onnx"))
    assert graphs == ["safety_checker", "text_encoder", "unet", "vae_decoder", "vae_encoder"]
    for name in ("tokenizer", "feature_extractor"):
        copied = {path.name: path.read_bytes() for path in (source / name).iterdir()}
        assert {path.name: path.read_bytes() for path in (folder / name).iterdir()} == copied
    for name, original in {"unet": "unet", "vae_decoder": "vae", "text_encoder": "text_encoder"}.items():
        kept = json.loads((folder / name / "config.json").read_text())
        assert kept.pop("size_multiple", None) == (1 if name == "unet" else None)
        assert kept == {
            key: value
            for key, value in json.loads((source / original / "config.json").read_text()).items()
            if key != "_name_or_path"
        }
    files = [path for path in folder.rglob("*") if path.is_file() and path != folder / "export.json"]
    assert verify_files(folder) == len(files)


def test_every_component_has_its_own_report(export: Export) -> None:
    family = export("stable-diffusion")
    for name, report in family.report.components.items():
        written = json.loads((family.bundle / name / "export.json").read_text())
        assert (written["dtype"], written["network"]) == ("fp32", report.network)
        assert written["verification"]["error"] == report.error <= 1e-4
        assert len({case["batch"] for case in written["verification"]["cases"]}) > 1
        assert all(len(entry["sha256"]) == 64 for entry in written["made_from"]["files"].values())
