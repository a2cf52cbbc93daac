"""export_unet of networks whose samples are no images: series, chunks of actions, volumes."""

import json
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import onnxruntime
import pytest
import torch

from ddim_edge.errors import ConfigError, ExportError
from ddim_edge_export import export_unet

pytestmark = pytest.mark.slow  # all of them export with PyTorch


class ConditionalUnet1D(torch.nn.Module):
    """A diffusion policy's denoiser, small: (B, T, A), one level down, conditioned on a vector by FiLM."""

    def __init__(self, actions: int = 2, width: int = 8, condition: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.width = width
        self.enter = torch.nn.Conv1d(actions, width, 3, padding=1)
        self.film = torch.nn.Linear(width + condition, 2 * width)
        self.down = torch.nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.norm = torch.nn.GroupNorm(2, width)
        self.up = torch.nn.ConvTranspose1d(width, width, 4, stride=2, padding=1)
        self.leave = torch.nn.Conv1d(2 * width, actions, 3, padding=1)

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, global_cond: torch.Tensor) -> torch.Tensor:
        angles = timestep.float()[:, None] / 100 * torch.exp(-torch.arange(self.width // 2, device=sample.device))
        scale, shift = self.film(torch.cat([angles.sin(), angles.cos(), global_cond], dim=-1))[..., None].chunk(
            2, dim=1
        )
        outer = self.enter(sample.movedim(-1, -2)) * (1 + scale) + shift
        inner = torch.nn.functional.mish(self.norm(self.down(outer)))
        left: torch.Tensor = self.leave(torch.cat([self.up(inner), outer], dim=1)).movedim(-1, -2)
        return left


class Volume(torch.nn.Module):
    """A UNet of three-dimensional images, small, called like MONAI's DiffusionModelUNet."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.down = torch.nn.Conv3d(1, 4, 3, stride=2, padding=1)
        self.norm = torch.nn.GroupNorm(2, 4)
        self.up = torch.nn.Conv3d(5, 1, 3, padding=1)

    def forward(self, x: torch.Tensor, timesteps: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        hidden = torch.nn.functional.silu(self.norm(self.down(x)) + (timesteps.float() / 1000).reshape(-1, 1, 1, 1, 1))
        if context is not None:
            hidden = hidden * context.mean(dim=(1, 2)).reshape(-1, 1, 1, 1, 1)
        up: torch.Tensor = self.up(torch.cat([torch.nn.functional.interpolate(hidden, scale_factor=2.0), x], dim=1))
        return up


def run(folder: Path, **inputs: Any) -> Any:
    session = onnxruntime.InferenceSession(folder / "unet/model.onnx", providers=["CPUExecutionProvider"])
    return session.run(["out_sample"], inputs)[0]


def declared(folder: Path) -> dict[str, list[int | str]]:
    session = onnxruntime.InferenceSession(folder / "unet/model.onnx", providers=["CPUExecutionProvider"])
    return {value.name: value.shape for value in (*session.get_inputs(), *session.get_outputs())}


def compare(module: torch.nn.Module, folder: Path, shape: tuple[int, ...], **inputs: Any) -> None:
    """The graph beside the module at another batch and other timesteps than the export's."""
    random = np.random.default_rng(9)
    feeds = {
        "sample": random.standard_normal((4, *shape), np.float32),
        "timestep": np.array([0, 17.5, 500, 999], np.float32),
        **inputs,
    }
    with torch.no_grad():
        sample, timestep, *rest = (torch.from_numpy(array) for array in feeds.values())
        expected = module.eval()(sample, timestep, **dict(zip(inputs, rest, strict=True)))
    np.testing.assert_allclose(run(folder, **feeds), getattr(expected, "sample", expected), atol=2e-5)


def test_a_policy_of_one_size(tmp_path: Path) -> None:
    """The call that docs/your-own-unet.md shows."""
    module = ConditionalUnet1D()
    output = {"kind": "array", "axes": ["time", "action"], "names": ["x", "y"], "units": "m"}
    report = export_unet(
        module, {"sample_shape": [16, 2]}, tmp_path / "out", inputs={"global_cond": torch.ones(2, 3)}, output=output
    )
    assert report.error < 1e-5
    assert declared(tmp_path / "out") == {
        "sample": ["batch", 16, 2],
        "timestep": ["batch"],
        "global_cond": ["batch", 3],
        "out_sample": ["batch", 16, 2],
    }
    assert json.loads((tmp_path / "out/unet/config.json").read_text()) == {"sample_shape": [16, 2]}
    assert json.loads((tmp_path / "out/output.json").read_text()) == output
    files = json.loads((tmp_path / "out/export.json").read_text())["files"]
    assert {"output.json", "unet/config.json", "unet/model.onnx"} == set(files)
    compare(module, tmp_path / "out", (16, 2), global_cond=np.random.default_rng(1).standard_normal((4, 3), np.float32))


def test_a_unet_of_diffusers_of_one_dimension(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = diffusers.UNet1DModel
    module = network(  # as Diffuser plans with it, in small
        sample_size=16,
        in_channels=2,
        out_channels=2,
        block_out_channels=(8, 16),
        down_block_types=("DownResnetBlock1D", "DownResnetBlock1D"),
        up_block_types=("UpResnetBlock1D",),
        mid_block_type="MidResTemporalBlock1D",
        out_block_type="OutConv1DBlock",
        time_embedding_type="positional",
        use_timestep_embedding=True,
        act_fn="mish",
        norm_num_groups=4,
    )
    report = export_unet(module, {**module.config, "sample_shape": [2, 16]}, tmp_path / "out")
    assert report.network == "UNet1DModel"
    assert json.loads((tmp_path / "out/unet/config.json").read_text())["sample_shape"] == [2, 16]
    compare(module, tmp_path / "out", (2, 16))


def test_a_unet_of_volumes(tmp_path: Path) -> None:
    module = Volume()
    export_unet(
        module, {}, tmp_path / "out", inputs={"context": torch.rand(1, 1, 4)}, sizes=[(1, 8, 8, 4), (1, 8, 4, 4)]
    )
    cases = json.loads((tmp_path / "out/export.json").read_text())["verification"]["cases"]
    assert {case["axis2"] for case in cases} == {4, 8}
    assert json.loads((tmp_path / "out/unet/config.json").read_text()) == {"sample_shape": [1, 8, 8, 4]}
    assert declared(tmp_path / "out")["sample"] == ["batch", 1, 8, "axis2", 4]
    compare(module, tmp_path / "out", (1, 8, 12, 4), context=np.random.default_rng(1).random((4, 1, 4), np.float32))


def test_a_network_of_images_of_one_valid_size(tmp_path: Path) -> None:
    class OneSize(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.place = torch.nn.Parameter(torch.ones(1, 1, 8, 8))

        def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            return sample * self.place + timestep.float().reshape(-1, 1, 1, 1)

    config = {"in_channels": 3, "sample_size": 8}
    with pytest.raises(ExportError, match="the network itself fails on"):
        export_unet(OneSize(), config, tmp_path / "out")
    export_unet(OneSize(), config, tmp_path / "out", sizes=[(3, 8, 8)])
    assert declared(tmp_path / "out")["sample"] == ["batch", 3, 8, 8]
    assert json.loads((tmp_path / "out/unet/config.json").read_text()) == {"in_channels": 3, "sample_size": [8, 8]}


def test_a_missing_example_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes global_cond, too: give an example of each by its name in inputs"):
        export_unet(ConditionalUnet1D(), {"sample_shape": [16, 2]}, tmp_path / "out")
    with pytest.raises(ExportError, match=r"the network itself fails on .*global_cond float32 \(1, 5\)"):
        export_unet(
            ConditionalUnet1D(), {"sample_shape": [16, 2]}, tmp_path / "out", inputs={"global_cond": np.ones((2, 5))}
        )
    with pytest.raises(ConfigError, match=r"output: axes must have 2 items for samples of \(16, 2\)"):
        export_unet(
            ConditionalUnet1D(),
            {"sample_shape": [16, 2]},
            tmp_path / "out",
            inputs={"global_cond": np.ones((2, 3))},
            output={"axes": ["time"]},
        )
    assert list(tmp_path.iterdir()) == []
