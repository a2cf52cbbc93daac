"""``python -m bench.solvers``: the host's time for one network call of every sampler, as a ratio to DDIM's.

The network is left out: it answers with one array. The samplers take turns in one process, and a sampler's time is the
least over its rounds. Fresh noise is one array, too, since drawing it is the same for all samplers.
"""

import sys
import time

import click
import numpy as np

from ddim_edge.arrays import Sample
from ddim_edge.config import ClipConfig
from ddim_edge.config.solver import MultistepConfig
from ddim_edge.diffusion.samplers import SAMPLERS, SamplerConfig, schedule_of, start

LIMIT = 2.0
"""No sampler may take more than this many times DDIM's time."""
STEPS = 20


@click.command()
@click.option("--rounds", default=30, show_default=True, help="Runs of each sampler.")
@click.option("--side", default=64, show_default=True, help="Height and width of the sample, of 4 channels.")
@click.option("--batch", default=1, show_default=True, help="Samples in the batch.")
def main(rounds: int, side: int, batch: int) -> None:
    """Measure and print; exit code 1 if a sampler is above the limit."""
    sample = np.random.default_rng(0).standard_normal((batch, 4, side, side), np.float32)
    taken = measured(named_configs(), sample, rounds)
    slow = []
    for name, seconds in taken.items():
        ratio = seconds / taken["ddim"]
        click.echo(f"{name:22} {seconds * 1e6:8.0f} µs a call, {ratio:5.2f} times DDIM's")
        if ratio > LIMIT:
            slow.append(name)
    if slow:
        click.echo(f"above {LIMIT:g} times: {', '.join(slow)}", err=True)
        sys.exit(1)


def named_configs() -> dict[str, SamplerConfig]:
    """Every sampler without clipping, which only some have by default, and the highest orders."""
    configs = {name: config() for name, config in SAMPLERS.items()}
    unclipped = {
        name: config.replace(clip_denoised_sample=False) if isinstance(config, ClipConfig) else config
        for name, config in configs.items()
    }
    highest = {
        f"{name} of order 3": config.replace(solver_order=3)
        for name, config in configs.items()
        if isinstance(config, MultistepConfig)
    }
    return unclipped | highest


def measured(configs: dict[str, SamplerConfig], sample: Sample, rounds: int) -> dict[str, float]:
    """The least seconds of a call, by name: what other programs take away only adds."""
    seconds: dict[str, list[float]] = {name: [] for name in configs}
    for config in configs.values():
        a_run(config, sample)  # makes the schedule, which is kept
    for _ in range(rounds):
        for name, config in configs.items():
            seconds[name].append(a_run(config, sample))
    return {name: min(times) for name, times in seconds.items()}


def a_run(config: SamplerConfig, sample: Sample) -> float:
    """The seconds of one call in a whole run."""
    calls = len(schedule_of(config, STEPS).timesteps)
    answer = np.zeros_like(sample)
    sampler = start(config, STEPS, sample, lambda: answer)
    before = time.perf_counter()
    next(sampler)
    for _ in range(calls - 1):
        sampler.send(answer)
    try:
        sampler.send(answer)
    except StopIteration:
        return (time.perf_counter() - before) / calls
    raise AssertionError(f"{config.name} makes more calls than its schedule says")


if __name__ == "__main__":
    main()
