"""Text to conditioning: a prompt is parsed, tokenized, cut into chunks and encoded by the bundle's own graphs."""

from .chunks import TruncationWarning
from .encoder import TEXT_INPUTS, Conditions, TextEncoder
from .prompt import Prompt
from .size_hints import SizeHints

__all__ = ["TEXT_INPUTS", "Conditions", "Prompt", "SizeHints", "TextEncoder", "TruncationWarning"]
