"""The package ``tokenizers``, imported only when a tokenizer is read."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ..errors import BundleError, shortened
from ..extras import install_command


def tokenizers_module() -> ModuleType:
    """Import and return the package. BundleError where it is not installed."""
    try:
        import tokenizers
    except ModuleNotFoundError:
        needed = "this bundle takes prompts, and the package tokenizers is not installed"
        raise BundleError(f"{needed}: {install_command('text')}") from None
    return tokenizers


@contextlib.contextmanager
def tokenizer_errors(folder: Path) -> Iterator[None]:
    """Turn an error of the package in the block into a BundleError that names the tokenizer's folder."""
    try:
        yield
    except (BundleError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of its Rust code is not an Exception
        reason = shortened(f"{type(error).__name__}: {error}")
        raise BundleError(f"{folder} has no tokenizer that can be read or used: {reason}. Copy it again") from None
