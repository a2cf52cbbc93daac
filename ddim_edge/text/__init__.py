"""Text to conditioning: parses, tokenizes and chunks a prompt, and runs the bundle's text encoders on it."""

from .chunks import TruncationWarning
from .encoder import Conditions, TextEncoder
from .opening import Text, open_text
from .prompt import Prompt
from .size_hints import SizeHints

__all__ = ["Conditions", "Prompt", "SizeHints", "Text", "TextEncoder", "TruncationWarning", "open_text"]
