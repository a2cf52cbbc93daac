"""The figures of diffusers' own scheduler tests, made by our samplers.

``diffusers_figures.json`` holds them with the file and commit in which they stand: the sum and the mean of the result's
absolute values, how near they have to be (``within``), and what their loop does with a sampler in σ-space:

- ``plain``: the network and the step get the sample as it is.
- ``unscaled``: the network gets the scaled sample, the step the sample itself; so do real pipelines.
- ``scaled``: the step, too, gets the scaled sample.
- ``never scaled``: neither gets it.

``first`` is the step at which a run begins, with noise unless ``adds_noise`` is false. ``left_out`` says why a figure
is not made here.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import ddim_edge
from ddim_edge.config.diffusers_names import NotBuiltError
from ddim_edge.diffusion.samplers import SAMPLERS, SamplerConfig, first_sample, schedule_of

Sample = NDArray[np.float32]
SOURCES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("diffusers_figures.json").read_text())
WITHIN = (1e-2, 1e-3)
"""Theirs, unless the file says otherwise: of the sum and of the mean."""
ROUNDING = 1e-5
"""Relative, added to theirs: the sums are of float32 samples, and LMS integrates its weights to 1e-4."""
TABLE_ROUNDING = 1e-4
"""The same where a run begins at low noise: 1-ᾱ in their float32 table has three digits there."""

FIGURES = [
    {**source, **figure, "keys": source["keys"] | figure.get("keys", {})}
    for source in SOURCES
    for figure in source.get("figures", ())
]


def ramp(shape: tuple[int, ...], *, falling: bool = False) -> Sample:
    """0, 1/n, … (n-1)/n, or from the last to the first, with the rows of the batch innermost."""
    values = np.arange(np.prod(shape), dtype=np.float32) / np.float32(np.prod(shape))
    ordered = values[::-1] if falling else values
    return np.ascontiguousarray(np.moveaxis(ordered.reshape(*shape[1:], shape[0]), -1, 0))


def network(sample: Sample, timestep: float) -> Sample:
    """x·t/(t+1)."""
    time = np.float32(timestep)
    answer: Sample = sample * time / (time + 1)
    return answer


def start(figure: dict[str, Any], config: SamplerConfig, strength: float) -> Sample:
    """The sample at the first call, as the network is fed with it."""
    shape, num_steps, loop = tuple(figure.get("shape", (4, 3, 8, 8))), figure["steps"], figure["loop"]
    clean, level = ramp(shape), schedule_of(config, num_steps, strength).levels[0]
    if loop in ("scaled", "unscaled"):
        clean = first_sample(config, num_steps, clean) / np.float32(schedule_of(config, num_steps).levels[0].signal)
    if figure.get("adds_noise", strength < 1):
        return (level.signal * clean + level.noise * ramp(shape, falling=True)).astype(np.float32)
    return clean if loop == "plain" else (level.signal * clean).astype(np.float32)


def result(figure: dict[str, Any], config: SamplerConfig) -> Sample:
    """The result of ``figure``'s loop, by our sampler."""
    num_steps, loop = figure["steps"], figure["loop"]
    strength = (num_steps - figure.get("first", 0)) / num_steps
    first, generator = start(figure, config, strength), torch.Generator().manual_seed(0)
    sampler = ddim_edge.start(
        config, num_steps, first, lambda: torch.randn(first.shape, generator=generator).numpy(), strength
    )
    query = next(sampler)
    for signal in schedule_of(config, num_steps, strength).levels.signal.astype(np.float32):
        prediction = network(query.sample / signal if loop == "never scaled" else query.sample, query.timestep)
        if loop == "scaled":
            query.sample[...] *= signal
        try:
            query = sampler.send(prediction)
        except StopIteration as stop:
            return np.asarray(stop.value)
    raise AssertionError("the sampler makes more calls than its schedule has levels")


def accepted(name: str) -> bool:
    """Whether files of the class ``name`` are read here."""
    try:
        ddim_edge.sampler_config({"_class_name": name})
    except NotBuiltError:
        return False
    return True


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: f"{figure['class']}-{figure['test']}")
def test_the_figures_of_diffusers_tests_are_ours(figure: dict[str, Any]) -> None:
    if "left_out" in figure:
        pytest.skip(f"left out: {figure['left_out']}")
    if not accepted(figure["class"]):
        pytest.skip(f"{figure['class']} is not built here")
    config = ddim_edge.sampler_config({"_class_name": figure["class"], **figure["keys"]})
    absolute = abs(result(figure, config.replace(**figure.get("ours", {})))).astype(np.float64)
    of_sum, of_mean = figure.get("within", WITHIN)
    relative = TABLE_ROUNDING if "first" in figure else ROUNDING
    assert abs(absolute.mean() - figure["mean"]) < of_mean + relative * figure["mean"]
    if "sum" in figure:
        assert abs(absolute.sum() - figure["sum"]) < of_sum + relative * figure["sum"]


def test_every_class_of_a_sampler_is_in_the_file() -> None:
    assert {config.scheduler_class for config in SAMPLERS.values()} <= {source["class"] for source in SOURCES}
