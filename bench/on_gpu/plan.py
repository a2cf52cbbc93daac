"""The plan: a group for each network, precision and batch, with all sides in it."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ddim_edge.benchmark.plan import BASELINE, Configuration, device_of

from .models import Model
from .ours import KINDS

BASELINES = ("eager", "default", "max-autotune")
"""diffusers without torch.compile, and with these modes of it."""
SIDES = (*KINDS, *BASELINES)
OURS = "bench.on_gpu.ours"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Sides that are measured together in interleaved rounds."""

    model: Model
    precision: str
    batch: int

    @property
    def name(self) -> str:
        return f"{self.model.name}-{self.precision}-{self.batch}"

    @property
    def files(self) -> str:
        """The name of the folder of its network, which all batches share."""
        return f"{self.model.name}-{self.precision}"

    @property
    def rows(self) -> int:
        """Rows of a network call."""
        return self.batch * self.model.rows

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the graph's inputs."""
        told = {name: (self.rows, *shape) for name, shape in self.model.conditioning().items()}
        return {"sample": (self.rows, *self.model.sample_shape), "timestep": (self.rows,), **told}

    def configuration(self, side: str, provider: str, source: Path, bundle: Path) -> Configuration:
        """The configuration of one side."""
        shared = {
            "bundle": str(bundle),
            "batch": self.batch,
            "steps": self.model.steps,
            "guidance_scale": self.model.guidance_scale,
            "sample_shape": self.model.sample_shape,
        }
        ours = {**shared, "kind": side, "provider": provider, "conditioning": self.model.conditioning()}
        device = device_of(provider)
        theirs = {**shared, "source": str(source), "device": device, "precision": self.precision, "mode": side}
        mine = side in KINDS
        return Configuration(
            bundle=bundle,
            batch=self.batch,
            side=side,
            provider=provider if mine else device,
            module=OURS if mine else BASELINE,
            settings=ours if mine else theirs,
        )


def groups(
    models: Sequence[Model], precisions: Sequence[str], batches: Sequence[int], only: Sequence[str]
) -> list[Group]:
    """All groups, the most important first: small batches, fp16. ``only``: name patterns such as ``sd15-fp16-*``."""
    every = [
        Group(model=model, precision=precision, batch=batch)
        for batch in batches
        for precision in precisions
        for model in models
    ]
    return [group for group in every if not only or any(fnmatch.fnmatch(group.name, pattern) for pattern in only)]
