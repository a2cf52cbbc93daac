"""The package ``tokenizers``, imported only when a tokenizer is read."""

from types import ModuleType

from ..errors import BundleError


def tokenizers_module() -> ModuleType:
    """Import and return the package. BundleError where it is not installed."""
    try:
        import tokenizers
    except ModuleNotFoundError:
        raise BundleError(
            "this bundle takes prompts, and the package tokenizers is not installed: pip install 'ddim-edge[text]'"
        ) from None
    return tokenizers
