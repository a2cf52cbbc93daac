"""Families of latent models, as diffusers has them and as bundles, made when they are asked for first."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import onnx.numpy_helper
import pytest

import ddim_edge
from tests.helpers.exported import Exports
from tests.helpers.tiny_networks import Diffusers


class Family(NamedTuple):
    """A pipeline's folder, and the same as a bundle."""

    source: Path
    bundle: Path
    pipeline: ddim_edge.Pipeline

    @property
    def title(self) -> str:
        """Its row in docs/models.md."""
        return TITLES[self.bundle.name]

    def diffusers(self, kind: str = "DiffusionPipeline") -> Any:
        """The pipeline in PyTorch, of a class by its name, without its safety checker."""
        options: dict[str, Any] = {"local_files_only": True}
        if (self.source / "safety_checker").exists():
            options |= {"safety_checker": None, "requires_safety_checker": False}
        pipeline = getattr(Diffusers, kind).from_pretrained(self.source, **options)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline


TITLES: Mapping[str, str] = {
    "stable-diffusion": "Stable Diffusion 1",
    "stable-diffusion-2": "Stable Diffusion 2",
    "sdxl": "SDXL",
    "sdxl-refiner": "SDXL refiner",
    "lcm": "Latent consistency model",
    "unconditional": "Latents without text",
    "instruct-pix2pix": "InstructPix2Pix",
    "sdxl-instruct-pix2pix": "SDXL InstructPix2Pix",
    "sdxl-inpainting": "SDXL inpainting",
    "upscaler": "Stable Diffusion x4 upscaler",
    "super-resolution": "LDM super-resolution",
    "depth-to-image": "Stable Diffusion depth2img",
    "marigold-depth": "Marigold depth",
    "marigold-normals": "Marigold normals",
    "inpainting": "Stable Diffusion inpainting",
    "ip-adapters": "Stable Diffusion 1 with IP-Adapters",
    "sdxl-ip-adapter": "SDXL with an IP-Adapter",
    "dit": "DiT",
    "sd3": "Stable Diffusion 3",
    "pixart": "PixArt-α",
}
"""The rows of docs/models.md, by the families whose tests keep them."""
FamilyOf = Callable[[str], Family]

_TEXT_TO_IMAGE = ("unet", "text_encoder", "vae_decoder", "vae_encoder")
_COMPONENTS = {
    "stable-diffusion": _TEXT_TO_IMAGE,
    "controlled": (*_TEXT_TO_IMAGE, "controlnet"),
    "pixart": ("transformer", "text_encoder", "vae_decoder"),
    "dit": ("transformer", "vae_decoder"),
    "sd3": ("transformer", "text_encoder", "text_encoder_2", "text_encoder_3", "vae_decoder"),
}
"""The families of which not all is exported."""


@pytest.fixture(scope="session")
def family_of(exports: Exports, tmp_path_factory: pytest.TempPathFactory) -> FamilyOf:
    """A family by its name. Leave its folders as they are."""
    root, made = tmp_path_factory.mktemp("families"), dict[str, Family]()

    def get(name: str) -> Family:
        if name not in made:
            source, bundle = exports.source(name), root / name
            exports.export(source, bundle, _COMPONENTS.get(name, ()))
            if (source / "controlnet_1").exists():
                _second_controlnet(source, bundle)
            made[name] = Family(source, bundle, ddim_edge.load(bundle, "cpu"))
        return made[name]

    return get


@pytest.fixture(scope="session")
def adapted(exports: Exports) -> Family:
    """Stable Diffusion 1 with IP-Adapters of three kinds: basic, full and plus."""
    return adapted_family(exports, "ip-adapters")


def adapted_family(exports: Exports, name: str) -> Family:
    """A family with the IP-Adapters that lie in its source."""
    bundle = exports.adapted(name)
    return Family(exports.source(name), bundle, ddim_edge.load(bundle, "cpu"))


def _second_controlnet(source: Path, bundle: Path) -> None:
    """The graph of the first with the weights in which the second differs: it need not be traced again."""
    shutil.copytree(bundle / "controlnet", bundle / "controlnet_1")
    network = Diffusers.ControlNetModel.from_pretrained(source / "controlnet_1")
    weights = {
        f"network.{name}": value.numpy() for name, value in network.state_dict().items() if "controlnet_" in name
    }
    path = bundle / "controlnet_1" / "model.onnx"
    model = onnx.load(path)
    replaced = [tensor for tensor in model.graph.initializer if tensor.name in weights]
    assert len(replaced) == len(weights)
    for tensor in replaced:
        tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name], tensor.name))
    onnx.save_model(model, path)
