"""Text to conditioning: parses, tokenizes and chunks a prompt, and runs the bundle's text encoders on it."""

from .chunks import TruncationWarning
from .encoder import TEXT_INPUTS, Conditions, TextEncoder
from .prompt import Prompt
from .size_hints import SizeHints

__all__ = ["TEXT_INPUTS", "Conditions", "Prompt", "SizeHints", "TextEncoder", "TruncationWarning"]
