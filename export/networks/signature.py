"""The signature of a network: names and axes of inputs and outputs, and random inputs for comparisons."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Sizes = Mapping[str, int]
"""The lengths of the free axes except the batch, by name: height, width, sequence."""
Axes = tuple[int | str, ...]
"""A shape. A name is a free axis. "height/8" (rounded up) and "height*8" are computed from another axis."""
Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[Any]]


def normal(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Standard normal values."""
    return random.standard_normal(shape, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input of a network. ``draw`` makes random values for it."""

    name: str
    axes: Axes
    draw: Draw = normal


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The inputs of a network in order, its outputs, and sizes that it accepts."""

    inputs: tuple[Input, ...]
    outputs: Mapping[str, tuple[int | str | None, ...]]
    """The axes of every output; None where the length is not checked."""
    sizes: tuple[Sizes, ...]
    """The sizes for the comparison with PyTorch; the last one is also used for tracing."""
    batch: int | None = None
    """The batch, if it is fixed."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs in order."""
        return tuple(entry.name for entry in self.inputs)

    def fixed(self, batch: int, lengths: Sizes) -> "Signature":
        """The same signature without free axes: at one ``batch`` and one length of each axis."""
        known = {"batch": batch, **lengths}
        return Signature(
            inputs=tuple(dataclasses.replace(entry, axes=_shape(entry.axes, known)) for entry in self.inputs),
            outputs={name: self.shape_of(name, known) for name in self.outputs},
            sizes=(lengths,),
            batch=batch,
        )

    def draw(self, batch: int, sizes: Sizes, seed: int) -> Arrays:
        """Random inputs by name."""
        random = np.random.default_rng(seed)
        lengths = {"batch": batch, **sizes}
        return {entry.name: entry.draw(random, _shape(entry.axes, lengths)) for entry in self.inputs}

    def shape_of(self, output: str, lengths: Mapping[str, int]) -> tuple[int | None, ...]:
        """The shape of ``output`` at these ``lengths`` of the free axes; None where the length is not checked."""
        return tuple(None if axis is None else _length(axis, lengths) for axis in self.outputs[output])


def image_axes(channels: int, *, height: int | str = "height", width: int | str = "width") -> Axes:
    """The axes of a batch of images or latents."""
    return ("batch", channels, height, width)


FLOAT32_ALWAYS = frozenset(["timestep"])
"""Inputs that are float32 at every precision: between 512 and 1024, fp16 has no number but the halves."""


def distinct_numbers(low: int, high: int) -> Draw:
    """Draws float32 numbers in [low, high), all different: most with a fraction, the first one whole."""

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        numbers = random.uniform(low, high, shape)
        numbers.flat[0] = np.floor(numbers.flat[0])
        return numbers.astype(np.float32)

    return draw


def distinct_integers(low: int, high: int) -> Draw:
    """Draws integers in [low, high), all different if there are enough."""

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int64]:
        count = int(np.prod(shape))
        return random.choice(np.arange(low, high), count, replace=count > high - low).reshape(shape)

    return draw


def scaled_normal(scale: float) -> Draw:
    """Draws normal values with the standard deviation ``scale``."""
    return lambda random, shape: normal(random, shape) * np.float32(scale)


def _shape(axes: Axes, lengths: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(_length(axis, lengths) for axis in axes)


def _length(axis: int | str, lengths: Mapping[str, int]) -> int:
    if isinstance(axis, int):
        return axis
    if "*" in axis:
        name, factor = axis.split("*")
        return lengths[name] * int(factor)
    name, _, divisor = axis.partition("/")
    return -(-lengths[name] // int(divisor or 1))
