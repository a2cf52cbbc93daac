"""What every side is asked to do."""

from dataclasses import dataclass

PROMPT = "a red fox in the snow"
SEED = 0


@dataclass(frozen=True)
class Workload:
    """One run: a process that starts, makes one image, writes it and ends.

    Attributes:
        model: ``sd``, Stable Diffusion's size, 512x512 pixels; or ``pixels``, a UNet2DModel of 64x64 pixels.
        guidance: the scale; 1 for one row a step instead of two.
        sampler: ``ddim`` or ``lcm``.
    """

    name: str
    model: str
    steps: int
    guidance: float = 1.0
    sampler: str = "ddim"


WORKLOADS = {
    each.name: each
    for each in (
        Workload("sd-1", "sd", 1, 7.5),
        Workload("sd-4", "sd", 4, 7.5),
        Workload("lcm-4", "sd", 4, sampler="lcm"),
        Workload("pixels-20", "pixels", 20),
        Workload("sd-20", "sd", 20, 7.5),
    )
}
"""In the order in which they are measured."""
