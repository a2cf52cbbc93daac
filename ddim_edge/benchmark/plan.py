"""The configurations of a benchmark: each is measured in its own process."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runtime.providers.table import ON_NVIDIA

OURS, BASELINE = "ddim_edge.benchmark.worker", "ddim_edge_export.diffusers_baseline"
EAGER = "eager"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all configurations share; None for the model's default."""

    steps: int
    height: int | None = None
    width: int | None = None
    guidance_scale: float | None = None
    precision: str = "float32"
    """What the provider of ddim-edge may compute in."""
    no_build: bool = False
    """Leave out that a large bundle is built for the CPU when it is first opened."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One row of the result: a module, run as a worker process with settings."""

    bundle: Path
    batch: int
    side: str
    """"ddim-edge"; of diffusers "eager", or the mode that torch.compile was given."""
    provider: str
    """For diffusers the device of torch."""
    module: str
    settings: Mapping[str, Any]


def ours(bundle: Path, batch: int, provider: str, shared: Settings) -> Configuration:
    """A configuration of ddim-edge."""
    own = {"bundle": str(bundle), "batch": batch, "provider": provider}
    return Configuration(
        bundle=bundle,
        batch=batch,
        side="ddim-edge",
        provider=provider,
        module=OURS,
        settings={**own, **vars(shared)},
    )


def device_of(provider: str) -> str:
    """The device of torch to compare with ``NAME[:DEVICE]``: the same GPU for NVIDIA's providers, else the CPU."""
    name, colon, which = provider.partition(":")
    return f"cuda{colon}{which}" if name in ON_NVIDIA else "cpu"


def device_beside(beside: Configuration, facts: Mapping[str, Any]) -> str:
    """The device of torch for a configuration of ddim-edge, with the provider that its ``facts`` report."""
    _, colon, which = beside.provider.partition(":")
    return device_of(f"{facts['provider']}{colon}{which}")


def baseline(
    beside: Configuration, facts: Mapping[str, Any], mode: str, source: Path | None, shared: Settings
) -> Configuration:
    """A configuration of diffusers that does the same as ``beside``, whose worker reported ``facts``."""
    device = device_beside(beside, facts)
    settings = {
        "bundle": str(beside.bundle),
        "source": None if source is None else str(source),
        "batch": beside.batch,
        "steps": shared.steps,
        "device": device,
        "precision": facts["precision"],
        "mode": mode,
        "guidance_scale": facts["guidance_scale"] if facts["guided"] else None,
        "sample_shape": facts["sample_shape"],
    }
    return Configuration(
        bundle=beside.bundle, batch=beside.batch, side=mode, provider=device, module=BASELINE, settings=settings
    )
