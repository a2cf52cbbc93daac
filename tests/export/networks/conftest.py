"""Families as diffusers has them and as bundles, each exported when it is asked for first."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from numpy.typing import NDArray

from ddim_edge_export import BundleReport
from tests.helpers.exported import Exports
from tests.helpers.tiny_networks import Diffusers

Arrays = dict[str, NDArray[Any]]

# Tracing takes seconds, in proportion to the number of layers: what families have in common is exported once.
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "stable-diffusion": (),
    "stable-diffusion-2": ("unet", "text_encoder"),
    "lcm": ("unet",),
    "sdxl": ("unet", "text_encoder_2"),
    "sdxl-refiner": ("unet",),
    "controlnet": ("unet", "controlnet"),
    "latent-classes": ("unet", "vae_decoder"),
}


class Family:
    """A pipeline as diffusers has it, and its bundle."""

    def __init__(self, source: Path, bundle: Path, report: BundleReport) -> None:
        self.source, self.bundle, self.report = source, bundle, report
        self.torch: Any = Diffusers.DiffusionPipeline.from_pretrained(source, local_files_only=True)
        self.sessions: dict[str, Any] = {}

    def run(self, component: str, inputs: Arrays) -> Arrays:
        """The outputs of a graph by name."""
        if component not in self.sessions:
            path = self.bundle / component / "model.onnx"
            self.sessions[component] = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        session = self.sessions[component]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))


Export = Callable[[str], Family]


@pytest.fixture(scope="session")
def export(exports: Exports, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """A family, exported when it is asked for first."""
    made: dict[str, Family] = {}

    def get(name: str) -> Family:
        if name not in made:
            bundle = tmp_path_factory.mktemp(name) / "bundle"
            report = exports.export(exports.source(name), bundle, COMPONENTS[name])
            made[name] = Family(exports.source(name), bundle, report)
        return made[name]

    return get
