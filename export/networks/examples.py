"""Example inputs of a module, by name, and the shapes of its samples: what its config does not say."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ddim_edge.errors import ConfigError, listed, shown

from ..config_keys import Config
from ..sample_shape import IMAGE_RANK, SAMPLE_SHAPE, Shape, read_shape
from .conditioning import label_inputs
from .denoiser import timestep_input, unet_signature
from .signature import Axes, Draw, Input, Signature, Sizes

Examples = Mapping[str, NDArray[Any]]
_KINDS = "biuf"
_ADDED = {"text_embeds": "added_cond_kwargs", "time_ids": "added_cond_kwargs"}
"""Inputs that diffusers' networks take inside of another argument."""


def read_examples(module: torch.nn.Module, inputs: Mapping[str, Any]) -> Examples:
    """The examples as arrays. ConfigError for one without a batch axis, and for names that the module does not take."""
    names, required = _parameters(module)
    arrays = {name: _array(name, value) for name, value in inputs.items()}
    for name in arrays:
        if names is not None and _ADDED.get(name, name) not in names and name not in names:
            taken = listed(sorted(names)) if names else "nothing"
            raise ConfigError(
                f"inputs: {type(module).__name__} takes no {shown(name)}: beside sample and timestep it takes {taken}"
            )
    batches = {name: len(array) for name, array in arrays.items()}
    if len(set(batches.values())) > 1:
        found = ", ".join(f"{name} {arrays[name].shape}" for name in arrays)
        raise ConfigError(f"inputs: the first axis of each is the batch, which must be the same: {found}")
    _check_required(module, required - set(arrays))
    return arrays


def read_sizes(config: Config, sizes: Sequence[Sequence[int]] | None) -> tuple[Shape, ...] | None:
    """The shapes of a sample to trace and verify at; None where the config's own rule applies, that of images.

    ``sizes``, the config's ``sample_shape`` first, which must be among them; or that alone. ConfigError.
    """
    own = None if config.get(SAMPLE_SHAPE) is None else read_shape(SAMPLE_SHAPE, config[SAMPLE_SHAPE])
    if sizes is None:
        return None if own is None else (own,)
    shapes = tuple(dict.fromkeys(read_shape("sizes", size) for size in sizes))
    if not shapes:
        raise ConfigError("sizes is empty: give at least one shape of a sample, without the batch")
    rank = len(own or shapes[0])
    for shape in shapes:
        if len(shape) != rank:
            whose = SAMPLE_SHAPE if own else "the first of them"
            raise ConfigError(
                f"sizes: {shape} has {len(shape)} axes, and {whose} has {rank}: {own or shapes[0]}. Leave the batch out"
            )
    if own and own not in shapes:
        raise ConfigError(f"sizes: {SAMPLE_SHAPE} {own} must be among them, not {listed(map(str, shapes))} alone")
    return tuple(dict.fromkeys((own, *shapes))) if own else shapes


def module_signature(
    config: Config,
    examples: Examples,
    sizes: Sequence[Shape] | None,
    axes: Sequence[str] = (),
    *,
    whole_timesteps: bool = False,
) -> Signature:
    """The signature of a module with inputs as in ``examples`` and samples of ``sizes``; None: images, by the config.

    An axis with two lengths among ``sizes`` is free, and has its name of ``axes``. The others are fixed.
    """
    if sizes is None:
        base = unet_signature(config, whole_timesteps=whole_timesteps)
    else:
        base = _shaped(config, sizes, axes, whole_timesteps=whole_timesteps)
    given = tuple(
        Input(name=name, axes=("batch", *array.shape[1:]), draw=_like(array)) for name, array in examples.items()
    )
    kept = tuple(entry for entry in base.inputs if entry.name not in examples)
    return Signature(inputs=kept + given, outputs=base.outputs, sizes=base.sizes)


def _shaped(config: Config, sizes: Sequence[Shape], axes: Sequence[str], *, whole_timesteps: bool) -> Signature:
    names = _axis_names(len(sizes[0]), axes)
    free = [len({shape[position] for shape in sizes}) > 1 for position in range(len(names))]
    sample: Axes = (
        "batch",
        *(name if is_free else length for name, is_free, length in zip(names, free, sizes[0], strict=True)),
    )
    timestep, count = timestep_input(config, whole_timesteps=whole_timesteps)
    # A UNet of images can predict other channels than it takes.
    channels = None if len(names) == IMAGE_RANK else sample[1]
    lengths: tuple[Sizes, ...] = tuple(
        {name: length for name, is_free, length in zip(names, free, shape, strict=True) if is_free} for shape in sizes
    )
    return Signature(
        inputs=(Input(name="sample", axes=sample), timestep, *label_inputs(config, count)),
        outputs={"out_sample": ("batch", channels, *sample[2:])},
        sizes=lengths,
    )


def _axis_names(rank: int, axes: Sequence[str]) -> tuple[str, ...]:
    if axes:
        return tuple(axes)
    return ("channels", "height", "width") if rank == IMAGE_RANK else tuple(f"axis{at}" for at in range(rank))


def _like(example: NDArray[Any]) -> Draw:
    """Draws rows of the example in any order; numbers with a fraction scaled, so that no two rows are equal."""

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
        rows: NDArray[Any] = example[random.permutation(np.resize(np.arange(len(example)), shape[0]))]
        if example.dtype.kind != "f":
            return rows
        factors = random.uniform(0.5, 1.5, (shape[0], *(1,) * (rows.ndim - 1)))
        scaled: NDArray[Any] = (rows * factors).astype(np.float32)
        return scaled

    return draw


def _array(name: str, value: Any) -> NDArray[Any]:
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    if name in ("sample", "timestep"):
        raise ConfigError(f"inputs: {name} is drawn at random: give it no example; sizes says the shapes of a sample")
    if array.dtype.kind not in _KINDS:
        raise ConfigError(f"inputs: {name} must be numbers, not {array.dtype}")
    if array.ndim == 0 or array.size == 0:
        raise ConfigError(
            f"inputs: {name} has the shape {array.shape}: its first axis must be a batch of 1 or more rows"
        )
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _parameters(module: torch.nn.Module) -> tuple[Collection[str] | None, set[str]]:
    """The names that ``forward`` takes behind sample and timestep, None for any name; and those without a default."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):  # a module of compiled code
        return None, set()
    kinds = {parameter.kind for parameter in parameters}
    # Captured as a whole, sample and timestep are in no order that is known.
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return None, set()
    named = [parameter for parameter in parameters[2:] if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    required = {parameter.name for parameter in named if parameter.default is inspect.Parameter.empty}
    takes_any = inspect.Parameter.VAR_KEYWORD in kinds
    return None if takes_any else [parameter.name for parameter in named], required


def _check_required(module: torch.nn.Module, missing: set[str]) -> None:
    """Raise ConfigError for inputs without an example. A class has one, which the config says."""
    if missing := missing - {"class_labels"}:
        names = listed(sorted(missing))
        raise ConfigError(f"{type(module).__name__} takes {names}, too: give an example of each by its name in inputs")
