"""A prompt: what is wanted, what is not, and how the text is to be read."""

from dataclasses import dataclass

from ..errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What to make an image of. Raises ConfigError for what is no text."""

    text: str
    negative: str | None = None
    """What to guide away from; None for what the model takes as nothing, which need not be the empty text."""
    long: bool = False
    """Read beyond the encoder's length, in chunks; what is too long is cut off otherwise."""
    weighted: bool = False
    """Read ``(word:1.3)`` and ``[word]`` as weights; they are text like any other otherwise."""

    def __post_init__(self) -> None:
        _check_text("a prompt", self.text)
        if self.negative is not None:
            _check_text("a negative prompt", self.negative)


def _check_text(what: str, value: object) -> None:
    if not isinstance(value, str):
        raise ConfigError(f"{what} must be a text, not {value!r}: put it in quotes")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # What the command line makes of bytes that are no UTF-8.
        raise ConfigError(
            f"{what} must be valid Unicode, and its character {error.start + 1} is not: type it anew, in UTF-8"
        ) from None
