"""Opens a bundle's text encoders, by what its network takes of them."""

from collections.abc import Mapping
from pathlib import Path

from ..bundle.layout import TEXT_MASK
from ..runtime.sessions.pool import Sessions
from ..runtime.sessions.tensors import TensorInfo
from .encoder import TextEncoder
from .masked_text import MaskedText

Text = TextEncoder | MaskedText


def open_text(folder: Path, inputs: Mapping[str, TensorInfo], sessions: Sessions) -> Text:
    """The text encoders for a network with these ``inputs``; BundleError or ProviderError where that fails."""
    return (MaskedText if TEXT_MASK in inputs else TextEncoder).open(folder, inputs, sessions)
