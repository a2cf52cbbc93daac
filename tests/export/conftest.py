"""Tiny networks to export."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import diffusers
import pytest
import torch

import ddim_edge_export.bundle_component
from tests.helpers import faster_export  # noqa: F401
from tests.helpers.exported import Exports
from tests.helpers.tiny_networks import change

MakeUnet = Callable[..., Any]
SourceOf = Callable[[str], Path]


class TinyNetwork(torch.nn.Module):
    """The smallest thing with the forward signature (sample, timestep); it returns ``wrap`` of a tensor."""

    config: ClassVar[dict[str, Any]] = {"in_channels": 2, "sample_size": 8, "block_out_channels": [4, 4]}

    def __init__(self, wrap: Callable[[torch.Tensor], Any] = lambda output: output) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.down = torch.nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.norm = torch.nn.GroupNorm(2, 4)
        self.up = torch.nn.ConvTranspose2d(4, 2, 2, stride=2)
        self.dropout = torch.nn.Dropout(0.5)
        self.wrap = wrap

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> Any:
        hidden = self.norm(self.down(sample)) + (timestep.float() / 1000)[:, None, None, None]
        return self.wrap(self.up(self.dropout(hidden)))


@pytest.fixture
def tiny() -> TinyNetwork:
    return TinyNetwork()


@pytest.fixture(scope="session")
def make_unet() -> MakeUnet:
    """A two-level UNet2DModel of random weights, with some of its options changed."""

    def make(**changes: Any) -> Any:
        options: dict[str, Any] = {
            "sample_size": 8,
            "in_channels": 1,
            "out_channels": 1,
            "layers_per_block": 1,
            "block_out_channels": (8, 16),
            "down_block_types": ("DownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "UpBlock2D"),
            "norm_num_groups": 4,
            "attention_head_dim": 4,
        }
        torch.manual_seed(0)
        network: Any = diffusers.UNet2DModel
        return network(**(options | changes))

    return make


@pytest.fixture(scope="session")
def unet_folder(make_unet: MakeUnet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class-conditional UNet2DModel as diffusers saves it."""
    folder = tmp_path_factory.mktemp("source") / "unet"
    make_unet(num_class_embeds=3).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def pipeline_folder(make_unet: MakeUnet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class-conditional DDPMPipeline as diffusers saves it, with the names of its classes."""
    folder = tmp_path_factory.mktemp("source") / "pipeline"
    scheduler = diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    diffusers.DDPMPipeline(make_unet(num_class_embeds=3), scheduler).save_pretrained(folder)
    change(folder / "model_index.json", id2label={"0": "coat", "1": "bag"}, null_class=2)
    return folder


@pytest.fixture(scope="session")
def source_of(exports: Exports) -> SourceOf:
    """The folder of a family's tiny pipeline, saved when it is asked for first. Leave it as it is."""
    return exports.source


@pytest.fixture
def untraceable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail at the first network that would be traced: what is refused must be refused before."""

    def export_into(*_: Any) -> Any:
        raise AssertionError("a network was traced")

    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_into", export_into)


@pytest.fixture
def spoilt(source_of: SourceOf, tmp_path: Path) -> SourceOf:
    """A copy of a family's tiny pipeline, to be spoilt."""
    return lambda family: Path(shutil.copytree(source_of(family), tmp_path / "source"))
