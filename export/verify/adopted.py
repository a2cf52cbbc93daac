"""Runs an adopted graph once in ONNX Runtime, on what a sampler feeds it, before its bundle appears."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddim_edge.diffusion.samplers import SamplerConfig, first_sample, schedule_of
from ddim_edge.errors import ConfigError

from ..graph.adopted import OUTPUT, SAMPLE
from ..graph.timestep import TIMESTEP
from ..sample_shape import Shape
from .graph_runs import can_draw, declared_inputs, draw_inputs, open_graph, run_graph

_ROWS = 2


def run_once(graph: Path, shape: Shape, config: SamplerConfig) -> None:
    """Run it at the first timestep of a run, with random conditioning.

    ConfigError where it returns another shape, NaN or infinity, or takes an input without a batch; ExportError where
    ONNX Runtime cannot run it.
    """
    random = np.random.default_rng(0)
    with open_graph(graph) as session:
        declared = declared_inputs(session)
        for name, value in declared.items():
            if not can_draw(value):
                raise ConfigError(f"the graph's {name} is {value.type}: inputs must be numbers of a type of NumPy's")
            if name != TIMESTEP and not value.shape:
                raise ConfigError(
                    f"the graph's {name} is one number: every input but the timestep must have a batch axis"
                )
        batch = declared[SAMPLE].shape[0]
        rows = batch if isinstance(batch, int) else _ROWS
        feeds = draw_inputs(random, session, rows, shape[1:], shape[0])
        noise = random.standard_normal((rows, *shape), np.float32)
        feeds[SAMPLE] = first_sample(config, config.usual_steps, noise).astype(feeds[SAMPLE].dtype)
        feeds[TIMESTEP] = _timesteps(config, feeds[TIMESTEP], scalar=not declared[TIMESTEP].shape)
        (prediction,) = run_graph(session, feeds, [OUTPUT])
    _check(prediction, (rows, *shape))


def _timesteps(config: SamplerConfig, drawn: NDArray[Any], *, scalar: bool) -> NDArray[Any]:
    first = schedule_of(config, config.usual_steps).timesteps[0]
    if drawn.dtype.kind in "iu" and first != int(first):
        raise ConfigError(f"the graph takes whole timesteps, and {config.scheduler_class} feeds {first:.4g} first")
    return np.full(() if scalar else drawn.shape, first, drawn.dtype)


def _check(prediction: NDArray[Any], shape: tuple[int, ...]) -> None:
    if prediction.shape != shape or prediction.dtype.kind != "f":
        raise ConfigError(
            f"the graph returns {prediction.dtype} {prediction.shape} for samples of {shape}: the prediction must have "
            "the sample's shape; choose another output with --output"
        )
    if not np.isfinite(prediction).all():
        raise ConfigError(
            "the graph returns NaN or infinity for noise at the first timestep: its inputs mean something else"
        )
