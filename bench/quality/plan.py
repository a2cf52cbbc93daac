"""The cells to measure: a scan over guidance scales, the two main cells, the DDIM paper's table, all samplers."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ddim_edge import Request
from ddim_edge.bundle.bundle import Bundle
from ddim_edge.diffusion.guidance import guided_timesteps
from ddim_edge.diffusion.samplers import SamplerConfig, schedule_of

SCAN_SCALES = (1.0, 1.5, 2.0)
SCAN_STEPS = 50
LABEL_SCALE = 1.5
"""The guidance of `make run`, at which the labels are counted."""
TABLE_SCALE = 1.0
"""The paper's table has no guidance."""
TABLE_STEPS = (10, 20, 50, 100)
TABLE_ETAS = (0.0, 0.5, 1.0)
SLOW_STEPS = 1000
SLOW_ETAS = (0.0, 1.0)
INTERVALS = ((0.2, 1e6), (0.0, 10.0), (0.2, 10.0), (0.5, 10.0), (0.5, 3.0))
"""Noise levels σ; 1e6 is above all."""
SAMPLER_CALLS = (4, 5, 8, 10, 15, 20, 50, 100)


@dataclass(frozen=True)
class Variant:
    """A sampler with options of its own.

    ``extra_calls`` is how many network calls it makes beyond ``calls_per_step`` of each step. A sampler of two calls a
    step has cells only where its number of calls, which is odd, is that of the table.
    """

    sampler: str
    options: dict[str, Any] = field(default_factory=dict)
    extra_calls: int = 0
    calls_per_step: int = 1
    fewest_steps: int = 1
    most_steps: int = 1000

    def config(self, bundle: Bundle) -> SamplerConfig:
        """The variant for a model."""
        return bundle.sampler(self.sampler).replace(**self.options)


KARRAS_ENDS = {"use_karras_sigmas": True, "sigma_min": 0.02, "sigma_max": 80.0}
TWO_CALLS: dict[str, Any] = {"extra_calls": -1, "calls_per_step": 2}

VARIANTS = {
    "ddim": Variant("ddim"),
    "ddpm": Variant("ddpm"),
    "pndm": Variant("pndm", {"transition": "next"}, extra_calls=9, fewest_steps=4),
    "pndm, reduced warm-up": Variant(
        "pndm", {"transition": "next", "reduce_warmup": True}, extra_calls=1, fewest_steps=2
    ),
    "lcm": Variant("lcm", most_steps=50),
    "euler": Variant("euler", {"use_karras_sigmas": False}),
    "euler-a": Variant("euler-a"),
    "heun": Variant("heun", {"use_karras_sigmas": False}, **TWO_CALLS),
    "heun, Karras 0.02 to 80": Variant("heun", KARRAS_ENDS, **TWO_CALLS),
    "dpm2": Variant("dpm2", {"use_karras_sigmas": False}, **TWO_CALLS),
    "dpm2-a": Variant("dpm2-a", {"use_karras_sigmas": False}, **TWO_CALLS),
    "lms": Variant("lms", {"use_karras_sigmas": False}),
    "tcd": Variant("tcd", most_steps=50),
    "dpmpp-2m": Variant("dpmpp-2m", {"use_karras_sigmas": False}),
    "dpmpp-2m, Karras": Variant("dpmpp-2m", {"use_karras_sigmas": True, "sigma_min": None, "sigma_max": None}),
    "dpmpp-2m, Karras 0.02 to 80": Variant("dpmpp-2m", KARRAS_ENDS),
    "unipc": Variant("unipc", {"use_karras_sigmas": False}),
    "unipc, Karras 0.02 to 80": Variant("unipc", KARRAS_ENDS),
}


@dataclass(frozen=True)
class SamplerCell:
    """A sampler at a number of network calls, without guidance: image k has seed k and class k mod 10."""

    variant: str
    calls: int
    num_images: int

    @property
    def key(self) -> str:
        return f"{self.variant}: {self.calls} calls, {self.num_images} images"

    @property
    def num_steps(self) -> int:
        variant = VARIANTS[self.variant]
        return (self.calls - variant.extra_calls) // variant.calls_per_step

    def request(self, bundle: Bundle) -> dict[str, Any]:
        """The options of the run."""
        return {"num_steps": self.num_steps, "sampler": VARIANTS[self.variant].config(bundle), "guidance_scale": 1.0}


@dataclass(frozen=True)
class GuidedCell:
    """The model's own sampler and steps, guided between two noise levels: image k has seed k and class k mod 10."""

    interval: tuple[float, float] | None
    num_steps: int
    num_images: int

    @property
    def key(self) -> str:
        where = "at all levels" if self.interval is None else f"from {self.interval[0]:g} to {self.interval[1]:g}"
        return f"guided {where}: {self.num_steps} steps, {self.num_images} images"

    @property
    def calls(self) -> int:
        return self.num_steps

    def request(self, _bundle: Bundle) -> dict[str, Any]:
        """The options of the run."""
        return {"num_steps": self.num_steps, "guidance_scale": LABEL_SCALE, "guidance_interval": self.interval}


@dataclass(frozen=True)
class Cell:
    """A setting of DDIM: image k has seed k and class k mod 10."""

    num_steps: int
    eta: float
    guidance_scale: float
    num_images: int

    @property
    def key(self) -> str:
        return f"{self.num_steps} steps, eta {self.eta:g}, guidance {self.guidance_scale:g}, {self.num_images} images"

    @property
    def calls(self) -> int:
        return self.num_steps

    def request(self, bundle: Bundle) -> dict[str, Any]:
        """The options of the run."""
        config = bundle.sampler("ddim").replace(eta=self.eta)
        return {"num_steps": self.num_steps, "sampler": config, "guidance_scale": self.guidance_scale}


def guided(num_steps: int, num_images: int) -> list[GuidedCell]:
    """Guidance at all noise levels, and between some."""
    return [GuidedCell(interval, num_steps, num_images) for interval in (None, *INTERVALS)]


def samplers(num_images: int) -> list[SamplerCell]:
    """Every sampler at every number of calls that it can make, the cheapest cells first."""
    cells = [SamplerCell(name, calls, num_images) for calls in SAMPLER_CALLS for name in VARIANTS]
    return [cell for cell in cells if _is_possible(cell)]


def _is_possible(cell: SamplerCell) -> bool:
    variant = VARIANTS[cell.variant]
    made = cell.num_steps * variant.calls_per_step + variant.extra_calls
    return made == cell.calls and variant.fewest_steps <= cell.num_steps <= variant.most_steps


AnyCell = Cell | SamplerCell | GuidedCell


def scan(num_images: int) -> list[Cell]:
    """50 steps, eta 0, at every guidance scale."""
    return [Cell(SCAN_STEPS, 0.0, scale, num_images) for scale in SCAN_SCALES]


def headline(best_scale: float, num_images: int) -> list[Cell]:
    """50 steps, eta 0: at the best guidance scale, and at the one at which labels are counted."""
    return [Cell(SCAN_STEPS, 0.0, scale, num_images) for scale in sorted({best_scale, LABEL_SCALE})]


def best_scale(measured: Iterable[dict[str, Any]]) -> float:
    """The guidance scale of the least Fréchet distance."""
    return float(min(measured, key=lambda row: float(row["distance"]))["guidance_scale"])


def table(num_images: int) -> list[Cell]:
    """S × eta without guidance, with ``num_images`` up to 50 steps, and beyond in proportion fewer (at least 20)."""
    settings = [(steps, eta) for steps in TABLE_STEPS for eta in TABLE_ETAS] + [(SLOW_STEPS, eta) for eta in SLOW_ETAS]
    return [Cell(steps, eta, TABLE_SCALE, max(20, num_images * 50 // max(steps, 50))) for steps, eta in settings]


def rows_per_image(request: Request) -> int:
    """How many rows the network computes for an image: one a call, two where it is guided."""
    timesteps = schedule_of(request.sampler, request.num_steps, request.strength).timesteps.tolist()
    if request.guidance_scale == 1:
        return len(timesteps)
    where = guided_timesteps(request.sampler, request.guidance_interval)
    return len(timesteps) + sum(where is None or timestep in where for timestep in timesteps)
