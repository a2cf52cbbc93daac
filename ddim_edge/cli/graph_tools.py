"""Graph tools: the packages of the extra ``export`` that change ONNX graphs without PyTorch."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ConfigError
from ..extras import install_command

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@contextmanager
def graph_tools(command: str) -> Iterator[None]:
    """Import what needs these packages within it: ConfigError, with what to install, where one is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _PACKAGES:
            raise
        install = install_command("export", only=_PACKAGES)
        raise ConfigError(
            f"{command} needs {missing}, of the extra export, which is not installed: {install}"
        ) from None
