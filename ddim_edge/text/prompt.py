"""A prompt with its negative prompt, and how both are parsed."""

from dataclasses import dataclass

from ..errors import ConfigError, shown
from ..lora.bank import Loras
from .weights import parse_segments


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The text of one image. Raises ConfigError where ``text`` or ``negative`` is not valid text, or its weights."""

    text: str
    negative: str | None = None
    """The negative prompt; None for the model's own default, which is not always the empty text."""
    long: bool = False
    """Encode a long prompt in several chunks. Otherwise it is cut off after one."""
    weighted: bool = False
    """Parse ``(word:1.3)`` and ``[word]`` as weights, and ``BREAK``. Otherwise they are plain text."""
    clip_skip: int = 0
    """How many of the text encoder's last layers are left out for the text; the negative prompt has all of them."""

    loras: Loras = ()
    """The adapters of the text encoders, for the negative prompt, too."""

    def __post_init__(self) -> None:
        self._check_text("a prompt", self.text)
        if self.negative is not None:
            self._check_text("a negative prompt", self.negative)

    def _check_text(self, what: str, value: object) -> None:
        _check_text(what, value)
        # So that a weight that is no number is refused here, not when the prompt is encoded.
        if self.weighted and len(parse_segments(str(value))) > 1 and not self.long:
            raise ConfigError(f"{what} has BREAK, which begins a new chunk: set long_prompt (--long-prompt), too")


def _check_text(what: str, value: object) -> None:
    if not isinstance(value, str):
        raise ConfigError(f"{what} must be a text, not {shown(value)}: put it in quotes")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # Python decodes bytes of the command line that are not UTF-8 to such characters.
        raise ConfigError(
            f"{what} must be valid Unicode, and its character {error.start + 1} is not: type it again, in UTF-8"
        ) from None
