"""``export_unet``: a PyTorch module becomes a bundle, which then runs without PyTorch. Needs the extra ``export``.

The module has random weights here, so its images are noise.
"""

import json
import sys
from pathlib import Path

import torch

import ddim_edge
from ddim_edge_export import export_unet

CONFIG = {"in_channels": 3, "sample_size": 16}
"""Keys of diffusers' ``unet/config.json``."""
SCHEDULER = {"_class_name": "DDIMScheduler", "beta_schedule": "squaredcos_cap_v2", "prediction_type": "epsilon"}


class Network(torch.nn.Module):
    """Any module will do that is called as (sample (B, C, H, W), timestep (B,)) and returns (B, C, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.time = torch.nn.Linear(1, 32)
        self.first, self.last = torch.nn.Conv2d(3, 32, 3, padding=1), torch.nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        time = self.time(timestep[:, None].float() / 1000)[:, :, None, None]
        hidden = torch.nn.functional.silu(self.first(sample) + time)
        result: torch.Tensor = self.last(hidden)
        return result


def main(out: str = "export_a_module") -> None:
    """``out``: the bundle's folder, which must not be there yet."""
    report = export_unet(Network(), CONFIG, out)
    print(f"{report.size:,} bytes, {report.deviation}")

    # export_unet knows the network only; this file says on which noise schedule it was trained.
    scheduler = Path(out) / "scheduler"
    scheduler.mkdir()
    (scheduler / "scheduler_config.json").write_text(json.dumps(SCHEDULER))

    images = ddim_edge.load(out, provider="cpu").generate(num_images=2, num_steps=5).images
    print(images.shape)  # (2, 16, 16, 3)


if __name__ == "__main__":
    main(*sys.argv[1:2])
