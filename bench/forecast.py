"""``python -m bench.forecast``: how near images with a forecast come to the exact ones, on the two trained models.

PSNR over all images to DDIM of 200 steps. Rows: fewer plain steps; forecasts of several orders and spacings; what is
extrapolated, and over what; samplers that extrapolate already; fresh noise, to the same run without a forecast.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import click
import numpy as np
from numpy.typing import NDArray

import ddim_edge
from ddim_edge.diffusion.samplers import SamplerConfig, forecast, schedule_of
from ddim_edge.diffusion.schedule import prediction_columns
from ddim_edge.diffusion.step_cache import CallPlan, StepCache, starts_of
from ddim_edge.generation.engine import Engine
from ddim_edge.generation.jobs import job_of
from ddim_edge.generation.requests.request import Request

from . import results, tables

SUBJECT = "forecast"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime")
EXACT, STEPS = 200, 50
PROMPTS = ["grinning face", "red apple", "dog", "rocket", "umbrella", "blue heart", "pizza", "cat face"]
Pixels = NDArray[np.uint8]


class Forecast(NamedTuple):
    """A forecast: every N-th call whole; None for none. What is extrapolated, over which variable."""

    every: int | None = None
    order: int = 1
    over: str = "angle"
    what: str = "velocity"


class Run(NamedTuple):
    """One cell: a sampler's steps, and the forecast; ``beside``: the run that it is compared with."""

    name: str
    steps: int
    forecast: Forecast = Forecast()
    sampler: str = "ddim"
    eta: float | None = None
    beside: str = "exact"


@click.command()
@click.option("--fashion", default=16, show_default=True, help="Images of the bundled model.")
@click.option("--emoji", default=4, show_default=True, help="Images of the emoji model, at most 8.")
def main(fashion: int, emoji: int) -> None:
    """Measure, write bench/results/forecast.json and render bench/README.md."""
    record: results.Record = {"exact_steps": EXACT, "models": {}}
    for model, options in (
        ("fashion-mnist", {"num_images": fashion, "guidance_scale": 1.5, "batch_size": 16}),
        ("models/emoji", {"num_images": emoji, "guidance_scale": 3.0, "batch_size": 8, "prompt": PROMPTS[:emoji]}),
    ):
        record["models"][Path(model).name] = {**options, "rows": _measured(ddim_edge.load(model, "cpu"), options)}
        tables.publish(SUBJECT, record, PACKAGES)


def runs() -> Iterator[Run]:
    """All cells."""
    yield Run("exact", EXACT)
    yield from (Run(f"plain DDIM, {steps} steps", steps) for steps in (10, 12, 15, 18, 20, 26, 50))
    for every in (2, 3, 5):
        for order, name in enumerate(("last output again", "linear", "quadratic")):
            yield Run(f"N = {every}, {name}", STEPS, Forecast(every, order))
    yield from (
        Run(f"linear over {over}, N = 3", STEPS, Forecast(3, over=over)) for over in ("timestep", "log-SNR", "σ")
    )
    yield from (Run(f"linear, of {what}, N = 3", STEPS, Forecast(3, what=what)) for what in ("ε", "x_0"))
    yield from (Run(f"{name}, 18 plain steps", 18, sampler=name) for name in ("pndm", "unipc", "dpmpp-2m"))
    yield Run("dpmpp-2m, 12 plain steps", 12, sampler="dpmpp-2m")
    yield Run("dpmpp-2m of 20 steps, N = 2, linear", 20, Forecast(2), sampler="dpmpp-2m")
    yield Run("eta 1", STEPS, eta=1.0, beside="eta 1")
    for what in ("velocity", "ε", "x_0"):
        yield Run(f"eta 1, linear, of {what}, N = 2", STEPS, Forecast(2, what=what), eta=1.0, beside="eta 1")


def _measured(pipeline: ddim_edge.Pipeline, options: dict[str, Any]) -> list[dict[str, Any]]:
    made: dict[str, Pixels] = {}
    rows = []
    for run in runs():
        request = pipeline.request(num_steps=run.steps, sampler=run.sampler, eta=run.eta, **options)
        images, calls = _images(pipeline, request, run.forecast)
        made[run.name] = images
        rows.append({"name": run.name, "calls": calls, "psnr": _psnr(images, made[run.beside])})
        click.echo(rows[-1], err=True)
    return rows


def _images(pipeline: ddim_edge.Pipeline, request: Request, settings: Forecast) -> tuple[Pixels, int]:
    """The images, uint8 (N, H, W, C), and the network calls of one."""
    jobs = [job_of(pipeline.bundle, request, index, pipeline.components) for index in range(request.num_images)]
    engine, schedule = Engine(pipeline.denoiser), schedule_of(request.sampler, request.num_steps)
    levels, variable = schedule.levels, _OVER.get(settings.over)
    for job in jobs:
        if settings.every is not None:
            cache = StepCache("forecast", settings.every)
            plan = CallPlan(cache, len(levels), starts_of(levels), settings.order)
            job.sampler = forecast.forecast(job.sampler, request.sampler, levels, plan, settings.order)
    over = variable(levels, schedule.timesteps) if variable else forecast.angles(levels)
    columns = _columns(request.sampler, levels, settings.what)
    with patch.object(forecast, "angles", lambda _: over), patch.object(forecast, "from_velocity", lambda *_: columns):
        for job in jobs:
            engine.add(job)
        while engine.jobs:
            engine.step()
    samples = np.concatenate([job.result() for job in jobs])
    return pipeline.components.to_images(samples), max(job.calls for job in jobs)


_OVER: dict[str, Callable[[Any, Any], Any]] = {
    "timestep": lambda _levels, timesteps: timesteps.astype(np.float64),
    "log-SNR": lambda levels, _timesteps: levels.half_log_snr,
    "σ": lambda levels, _timesteps: levels.sigmas,
}


def _columns(config: SamplerConfig, levels: Any, what: str) -> Any:
    """The weights of (x_t, what is extrapolated) in the prediction."""
    if what == "velocity":
        return forecast.from_velocity(config, levels)
    of_x, of_p = prediction_columns(config, levels)[:2] if what == "x_0" else prediction_columns(config, levels)[2:]
    return list(zip((-of_x / of_p).tolist(), (1 / of_p).tolist(), strict=True))


def _psnr(images: Pixels, exact: Pixels) -> float | None:
    """Decibels over all images; None for equal ones."""
    square = float(np.mean((images.astype(np.float64) - exact) ** 2))
    return 10 * math.log10(255**2 / square) if square else None


if __name__ == "__main__":
    main()
