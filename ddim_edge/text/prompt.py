"""A prompt with its negative prompt, and how both are parsed."""

from dataclasses import dataclass

from ..errors import ConfigError, shown
from .weights import parse_weights


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The text of one image. Raises ConfigError where ``text`` or ``negative`` is not valid text, or its weights."""

    text: str
    negative: str | None = None
    """The negative prompt; None for the model's own default, which is not always the empty text."""
    long: bool = False
    """Encode a long prompt in several chunks. Otherwise it is cut off after one."""
    weighted: bool = False
    """Parse ``(word:1.3)`` and ``[word]`` as weights. Otherwise they are plain text."""

    def __post_init__(self) -> None:
        _check_text("a prompt", self.text, self.weighted)
        if self.negative is not None:
            _check_text("a negative prompt", self.negative, self.weighted)


def _check_text(what: str, value: object, weighted: bool) -> None:
    if not isinstance(value, str):
        raise ConfigError(f"{what} must be a text, not {shown(value)}: put it in quotes")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # Python decodes bytes of the command line that are not UTF-8 to such characters.
        raise ConfigError(
            f"{what} must be valid Unicode, and its character {error.start + 1} is not: type it again, in UTF-8"
        ) from None
    if weighted:
        parse_weights(value)  # so that a weight that is no number is refused here, not when the prompt is encoded
