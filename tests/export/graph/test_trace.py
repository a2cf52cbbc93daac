"""The trace of a network: which way PyTorch goes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ddim_edge_export import export_unet
from tests.export.conftest import TinyNetwork


class Divides(TinyNetwork):
    """It divides lengths, and asks for the result, as diffusers' upsampling does."""

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> Any:
        hidden = self.down(sample)
        scale = max(wide / narrow for wide, narrow in zip(sample.shape[-2:], hidden.shape[-2:], strict=True))
        output = self.up(hidden) + (timestep.float() / 1000)[:, None, None, None]
        return output.contiguous() if hidden.numel() * scale > 2**31 else output


@pytest.mark.slow
def test_a_network_that_divides_lengths_is_traced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[bool] = []
    original = torch.export.export

    def export(*arguments: Any, strict: bool, **options: Any) -> Any:
        ways.append(strict)
        return original(*arguments, strict=strict, **options)

    monkeypatch.setattr(torch.export, "export", export)
    network = Divides()
    export_unet(network, network.config, tmp_path / "out")
    assert ways == [False]
