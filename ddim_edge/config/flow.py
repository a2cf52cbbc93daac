"""Options of flow matching, x_t = (1-t)·x_0 + t·ε, as SD3, Flux and Sana ship them."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from .checks import number, whole_number
from .sampler_options import Family
from .sigma_spacing import SigmaSpacingConfig

FlowSpacing = Literal["linspace", "trailing"]
ShiftType = Literal["exponential", "linear"]
HIGHEST_SHIFT = 1000.0
MAX_TOKENS = 10**8


@dataclass(frozen=True, kw_only=True)
class FlowConfig(SigmaSpacingConfig):
    """Options that all samplers of flow matching have: the times t of a run."""

    family: ClassVar[Family] = "flow"

    prediction_type: Literal["flow"] = "flow"
    """The network returns ε - x_0."""
    timestep_spacing: FlowSpacing = "linspace"
    """t before the shift: ``linspace`` from the first to the last of the T trained ones, or ``trailing`` 1 - i/S, which
    the pipelines of Flux and Sana give to their scheduler."""
    shift: float = 1.0
    """Moves t towards noise: shift·t/(1 + (shift - 1)·t) (Esser et al. 2024, eq. 23)."""
    use_dynamic_shifting: bool = False
    """Shift by the size of the image instead: by μ, which grows from ``base_shift`` at ``base_image_seq_len`` tokens to
    ``max_shift`` at ``max_image_seq_len``."""
    base_shift: float = 0.5
    max_shift: float = 1.15
    base_image_seq_len: int = 256
    max_image_seq_len: int = 4096
    image_seq_len: int | None = None
    """The number of tokens of the image; None for ``base_image_seq_len``. A pipeline sets it from the size."""
    time_shift_type: ShiftType = "exponential"
    """How μ shifts: as a shift of e^μ (``exponential``) or of μ (``linear``)."""
    shift_terminal: float | None = None
    """Stretch the times so that the last one is this."""

    def __post_init__(self) -> None:
        super().__post_init__()
        number("shift", self.shift, low=1 / HIGHEST_SHIFT, high=HIGHEST_SHIFT)
        lowest = 1 / HIGHEST_SHIFT if self.time_shift_type == "linear" else -5.0
        for name in ("base_shift", "max_shift"):
            number(name, getattr(self, name), low=lowest, high=5.0 if lowest < 0 else HIGHEST_SHIFT)
        for name in ("base_image_seq_len", "max_image_seq_len"):
            whole_number(name, getattr(self, name), low=1, high=MAX_TOKENS)
        if self.image_seq_len is not None:
            whole_number("image_seq_len", self.image_seq_len, low=1, high=MAX_TOKENS)
        if self.shift_terminal is not None:
            number("shift_terminal", self.shift_terminal, low=0, high=1, open_interval=True)
