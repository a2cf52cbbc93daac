"""Errors of workers come without what Ray wraps around them."""

import pytest
from ray.exceptions import RayError, RayTaskError

from ddim_edge.errors import ConfigError, OutputError
from ddim_edge.ray.failures import own_errors


def test_the_error_that_a_worker_raised_is_raised() -> None:
    wrapped = RayTaskError("map", "Traceback", OutputError("the folder is another run's"))
    with pytest.raises(OutputError, match=r"^the folder is another run's$"), own_errors():
        raise wrapped


def test_a_worker_that_cannot_run_is_one_line() -> None:
    with (
        pytest.raises(ConfigError, match=r"failed: ModuleNotFoundError: No module named 'ddim_edge'\. Every"),
        own_errors(),
    ):
        raise RayError("the actor died\nModuleNotFoundError: No module named 'ddim_edge'\n\n")


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(ZeroDivisionError), own_errors():
        raise ZeroDivisionError
