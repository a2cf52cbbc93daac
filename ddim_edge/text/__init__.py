"""Text to conditioning: a prompt is parsed, tokenized, cut into chunks and encoded by the bundle's own graphs."""

from .chunks import TruncationWarning
from .encoder import Conditions, TextEncoder
from .prompt import Prompt
from .size_hints import SizeHints

__all__ = ["Conditions", "Prompt", "SizeHints", "TextEncoder", "TruncationWarning"]
