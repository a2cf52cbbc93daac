"""Options of flow matching, x_t = (1-t)·x_0 + t·ε, as SD3, Flux and Sana ship them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ..errors import ConfigError
from .checks import falling, number, whole_number
from .sampler_options import Family
from .sigma_spacing import SigmaSpacingConfig

FlowSpacing = Literal["linspace", "trailing"]
ShiftType = Literal["exponential", "linear"]
HIGHEST_SHIFT = 1000.0
MAX_TOKENS = 10**8
LOWEST_GIVEN = 1e-6
"""The lowest time that can be given: a slope is divided by it."""


@dataclass(frozen=True, kw_only=True)
class FlowConfig(SigmaSpacingConfig):
    """Options that all samplers of flow matching have: the times t of a run."""

    family: ClassVar[Family] = "flow"
    shifts_given: ClassVar[bool] = True
    """Whether given ``sigmas`` are shifted like other times (diffusers' rule)."""

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
    sigmas: tuple[float, ...] | None = None
    """The times t of a run before the shift, falling, without the last, 0. They are interpolated to another number of
    steps."""

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
        for time in self.sigmas or ():
            number("sigmas", time, low=LOWEST_GIVEN, high=1)
        if self.sigmas is not None and self.timestep_spacing != "linspace":
            raise ConfigError(
                f"sigmas and timestep_spacing {self.timestep_spacing!r} exclude each other: a run has one list or "
                "spacing of times; leave one"
            )

    def _normalize(self) -> None:
        super()._normalize()
        if self.sigmas is not None:
            object.__setattr__(self, "sigmas", falling("sigmas", self.sigmas))

    @classmethod
    def fields_of(cls, keys: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that the ``keys`` of a scheduler file set; files with ``use_flow_sigmas`` have names of their own.

        Raises ConfigError as ``from_json`` does.
        """
        return super().fields_of(without_betas_names(keys))


def without_betas_names(keys: Mapping[str, Any]) -> dict[str, Any]:
    """The ``keys`` of a file with ``use_flow_sigmas``, in which the shift has another name, as FlowMatch files have it.

    Its ``timestep_spacing`` is that of its class's betas, which flow matching has not.
    """
    found = dict(keys)
    if "flow_shift" in found:
        found.setdefault("shift", found.pop("flow_shift"))
    if found.get("prediction_type") == "flow_prediction":
        del found["prediction_type"]
    if found.get("use_flow_sigmas"):
        found.pop("timestep_spacing", None)
    return found
