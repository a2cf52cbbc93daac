"""The names that other code relies on."""

import inspect
from pathlib import Path

import pytest

import ddim_edge
from ddim_edge import errors
from ddim_edge.generation.requests.option_table import Options

NAMES = (
    "DdimConfig",
    "DdimSchedule",
    "ddim",
    "start",
    "sampler_config",
    "load",
    "load_policy",
    "Policy",
    "Pipeline",
    "Result",
    "Engine",
    "Job",
    "Session",
    "Denoiser",
    "noise_stream",
    "schedule_of",
    "first_sample",
    "Query",
    "Request",
    "DdimEdgeError",
    "ConfigError",
    "BundleError",
    "ProviderError",
    "DeviceMemoryError",
    "PredictionError",
    "ActionError",
    "DeadlineError",
    "OutputError",
    "BuildError",
    "ExportError",
    "__version__",
)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_public_face_is_there_and_exported(name: str) -> None:
    assert hasattr(ddim_edge, name)
    assert name in ddim_edge.__all__


def test_all_names_exist() -> None:
    assert all(hasattr(ddim_edge, name) for name in ddim_edge.__all__)
    assert len(set(ddim_edge.__all__)) == len(ddim_edge.__all__)


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(ddim_edge.__file__).parent / "py.typed").is_file()


def test_every_error_has_one_root_and_an_exit_code() -> None:
    classes = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, Exception)]
    raised = [value for value in classes if issubclass(value, ddim_edge.DdimEdgeError)]
    assert (len(raised), len(classes)) == (11, 11)
    assert all(error.exit_code in (1, 2) for error in raised)
    assert issubclass(ddim_edge.ConfigError, ValueError)
    assert errors.__doc__ is not None
    assert all(error.__name__ in errors.__doc__ for error in raised)


def test_generate_takes_the_options_that_request_takes() -> None:
    options = set(Options.__annotations__)
    documented = ddim_edge.Pipeline.generate.__doc__ or ""
    assert all(f"{name}: " in documented for name in options)
