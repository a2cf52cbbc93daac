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
FEW_CALLS = (4, 5, 8, 10, 15, 20)
SEEDS_APART = 1_000_000
"""Between the first seeds of two sets of images."""


@dataclass(frozen=True)
class Variant:
    """A sampler with options of its own; it makes ``calls_a_step`` network calls a step, and ``extra_calls`` more."""

    sampler: str
    options: dict[str, Any] = field(default_factory=dict)
    calls_a_step: int = 1
    extra_calls: int = 0
    fewest_steps: int = 1
    most_steps: int = 1000

    def config(self, bundle: Bundle) -> SamplerConfig:
        """The variant for a model."""
        return bundle.sampler(self.sampler).replace(**self.options)


EVEN = {"use_karras_sigmas": False}
KARRAS_ENDS = {"use_karras_sigmas": True, "sigma_min": 0.02, "sigma_max": 80.0}
TWICE = {"calls_a_step": 2, "extra_calls": -1}
"""A second call in every step but the last."""

VARIANTS = {
    "ddim": Variant("ddim"),
    "ddpm": Variant("ddpm"),
    "pndm": Variant("pndm", {"transition": "next"}, extra_calls=9, fewest_steps=4),
    "pndm, reduced warm-up": Variant(
        "pndm", {"transition": "next", "reduce_warmup": True}, extra_calls=1, fewest_steps=2
    ),
    "lcm": Variant("lcm", most_steps=50),
    "tcd": Variant("tcd", most_steps=50),
    "euler": Variant("euler", EVEN),
    "euler, Karras 0.02 to 80": Variant("euler", KARRAS_ENDS),
    "euler-a": Variant("euler-a"),
    "heun": Variant("heun", EVEN, **TWICE),
    "heun, Karras 0.02 to 80": Variant("heun", KARRAS_ENDS, **TWICE),
    "dpm2": Variant("dpm2", EVEN, **TWICE),
    "dpm2, Karras 0.02 to 80": Variant("dpm2", KARRAS_ENDS, **TWICE),
    "dpm2-a": Variant("dpm2-a", EVEN, **TWICE),
    "dpm2-a, Karras 0.02 to 80": Variant("dpm2-a", KARRAS_ENDS, **TWICE),
    "lms": Variant("lms", EVEN),
    "lms, Karras 0.02 to 80": Variant("lms", KARRAS_ENDS),
    "dpmpp-2m": Variant("dpmpp-2m", EVEN),
    "dpmpp-2m, Karras": Variant("dpmpp-2m", {"use_karras_sigmas": True, "sigma_min": None, "sigma_max": None}),
    "dpmpp-2m, Karras 0.02 to 80": Variant("dpmpp-2m", KARRAS_ENDS),
    "dpmpp-2m, SDE, Karras 0.02 to 80": Variant("dpmpp-2m", {**KARRAS_ENDS, "algorithm_type": "sde-dpmsolver++"}),
    "dpmpp-2m of order 3, Karras 0.02 to 80": Variant("dpmpp-2m", {**KARRAS_ENDS, "solver_order": 3}),
    "dpmpp-2s": Variant("dpmpp-2s", EVEN),
    "dpmpp-2s, Karras 0.02 to 80": Variant("dpmpp-2s", KARRAS_ENDS),
    "deis": Variant("deis", EVEN),
    "deis, Karras 0.02 to 80": Variant("deis", KARRAS_ENDS),
    "unipc": Variant("unipc", EVEN),
    "unipc, Karras 0.02 to 80": Variant("unipc", KARRAS_ENDS),
    "unipc of order 3, Karras 0.02 to 80": Variant("unipc", {**KARRAS_ENDS, "solver_order": 3}),
}

REFERENCE = "dpmpp-2m, Karras 0.02 to 80"
"""The bundled model's default."""
BESIDE_KARRAS = ("ddim", "euler", "euler-a", "dpmpp-2m", "tcd")
"""Samplers without Karras levels, and two over the whole schedule: what those over Karras levels are compared with."""


@dataclass(frozen=True)
class SamplerCell:
    """A sampler at a number of network calls, without guidance: image k has class k mod 10 and the k-th of its seeds.

    A sampler of two calls a step makes one call fewer where the number does not come out.
    """

    variant: str
    calls: int
    num_images: int
    seeds: int = 0
    """Which set of seeds."""

    @property
    def key(self) -> str:
        seeds = f", seeds {self.seeds}" if self.seeds else ""
        return f"{self.variant}: {self.calls} calls, {self.num_images} images{seeds}"

    @property
    def num_steps(self) -> int:
        variant = VARIANTS[self.variant]
        return (self.calls - variant.extra_calls) // variant.calls_a_step

    def request(self, bundle: Bundle) -> dict[str, Any]:
        """The options of the run."""
        options = {"seed": self.seeds * SEEDS_APART} if self.seeds else {}
        config = VARIANTS[self.variant].config(bundle)
        return {"num_steps": self.num_steps, "sampler": config, "guidance_scale": 1.0, **options}


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


def few_calls(num_images: int, calls: tuple[int, ...] = FEW_CALLS) -> list[SamplerCell]:
    """The samplers over the bundled model's Karras levels, the cheapest cells first, and the reference again."""
    names = [
        name for name, row in VARIANTS.items() if name in BESIDE_KARRAS or row.options.items() >= KARRAS_ENDS.items()
    ]
    cells = [SamplerCell(name, count, num_images) for count in calls for name in names]
    return [cell for cell in cells if _is_possible(cell)] + other_seeds(num_images)


def other_seeds(num_images: int) -> list[SamplerCell]:
    """The reference at 8 calls with other seeds: how much of a difference is chance."""
    return [SamplerCell(REFERENCE, 8, num_images, seeds) for seeds in (1, 2, 3)]


def turbo(num_images: int) -> list[SamplerCell]:
    """The distilled model at the numbers of calls that it was trained for, and at twice as many."""
    return [SamplerCell("ddim", calls, num_images) for calls in (1, 2, 4, 8)]


def teacher(num_images: int) -> list["AnyCell"]:
    """Its teacher: by DDIM at as many calls, by its own sampler, and guided as the student's examples were."""
    own = [SamplerCell(REFERENCE, calls, num_images) for calls in (4, 8)]
    return [*own, *turbo(num_images), GuidedCell((0.5, 3.0), 8, num_images)]


def _is_possible(cell: SamplerCell) -> bool:
    variant = VARIANTS[cell.variant]
    return variant.fewest_steps <= cell.num_steps <= variant.most_steps


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
