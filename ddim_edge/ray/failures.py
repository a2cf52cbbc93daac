"""Errors of workers, without what Ray wraps around them."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ConfigError, DdimEdgeError


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise the error of this package that a worker raised; ConfigError where the worker itself cannot run."""
    from ray.exceptions import RayError

    try:
        yield
    except Exception as error:
        own = _own(error)
        if own is not None:
            raise own from None
        if isinstance(error, RayError):
            raise ConfigError(
                f"a worker of Ray failed: {_last_line(error)}. Every machine of the cluster needs the same version of "
                "ddim-edge"
            ) from error
        raise


def _own(error: BaseException | None) -> DdimEdgeError | None:
    """The error of this package that ``error`` is, or that it was raised for."""
    while error is not None and not isinstance(error, DdimEdgeError):
        error = getattr(error, "cause", None) or error.__cause__
    return error


def _last_line(error: Exception) -> str:
    return next(filter(None, map(str.strip, reversed(str(error).splitlines()))), type(error).__name__)
