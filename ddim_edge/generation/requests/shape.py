"""The shape of a request's samples: the model's own, or, where its network leaves axes free, another one."""

from collections.abc import Sequence

from ...bundle.bundle import Bundle
from ...errors import ConfigError, shown
from .request import Request

_MOST_NUMBERS = 2**28
"""In a sample."""


def shape_of(value: object) -> tuple[int, ...]:
    """The option ``shape``. Raises ConfigError for what is no list of whole numbers of at least 1."""
    sides = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if not sides or not all(type(side) is int and side > 0 for side in sides):
        raise ConfigError(f"shape must be whole numbers of at least 1, such as (32, 2), not {shown(value)}")
    return sides


def sample_shape(bundle: Bundle, request: Request) -> tuple[int, ...]:
    """The shape of one sample, without the batch. Raises ConfigError for one that the model does not take."""
    shape = request.shape
    if shape is None:
        return bundle.sample_shape_for(request.height, request.width)
    if bundle.output.is_image:
        raise ConfigError(
            f"shape is for models that make arrays, and {bundle.name} makes images: give height and width"
        )
    if (request.height, request.width) != (None, None):
        raise ConfigError("give either shape, or height and width")
    if len(shape) != len(bundle.sample_shape) or any(
        side != own and not free for side, own, free in zip(shape, bundle.sample_shape, bundle.free_axes, strict=True)
    ):
        raise ConfigError(f"{bundle.name} takes samples of the shape {_described(bundle)}, not {shape}")
    _check_sides(bundle, shape)
    return shape


def _check_sides(bundle: Bundle, shape: tuple[int, ...]) -> None:
    multiple, size = bundle.inputs.multiple, 1
    for side, own in zip(shape, bundle.sample_shape, strict=True):
        size *= side
        if side != own and side % multiple:
            raise ConfigError(f"{bundle.name} takes multiples of {multiple} alone, and shape has {side}")
    if size > _MOST_NUMBERS:
        raise ConfigError(f"a sample has at most {_MOST_NUMBERS:,} numbers, and one of the shape {shape} has {size:,}")


def _described(bundle: Bundle) -> str:
    """The shape that a model takes, with its own sides, and a mark at those that are free."""
    sides = zip(bundle.sample_shape, bundle.free_axes, strict=True)
    text = ", ".join(f"{own} or another number" if free else str(own) for own, free in sides)
    return f"({text})"
