"""Row: what the denoiser predicts for one image at one step."""

from typing import NamedTuple

from ..arrays import Conditioning, Sample
from ..diffusion.samplers.query import LinearStep
from ..lora.bank import Loras
from .features import Features

EXTRA_CHANNELS = "extra_channels"
"""The conditioning's name of the channels that an inpainting UNet takes after those of the sample."""


_SHALLOW_SHARE = 0.1
"""The work of a row of the shallow graph, in whole rows: that of Stable Diffusion 1.5's UNet on a CPU."""


class RowCount(NamedTuple):
    """A number of rows of whole calls, and one of calls of the shallow graph."""

    whole: int
    shallow: int

    @property
    def work(self) -> float:
        """About how much work they are, in whole rows."""
        return self.whole + _SHALLOW_SHARE * self.shallow


class Weighted(NamedTuple):
    """A further prediction in the sum of guidance: its conditioning, and its weight in the sum."""

    conditioning: Conditioning
    weight: float


class Row(NamedTuple):
    """One image's sample, float32 (1, …), at one timestep, and how to guide its prediction.

    The guided prediction is a sum of N predictions whose weights are 1 in all: that with ``conditioning`` has the
    weight ``guidance_scale``, ``others`` have their own, and ``unconditional`` has the rest.
    """

    sample: Sample
    timestep: float
    conditioning: Conditioning
    unconditional: Conditioning | None
    """The conditioning of the null class or empty prompt; None without guidance."""
    guidance_scale: float
    guidance_rescale: float = 0.0
    step: LinearStep | None = None
    """The step that follows the prediction, if the graph may compute it."""
    features: Features | None = None
    """Those that the shallow graph predicts from; None for a whole call."""
    loras: Loras = ()
    """The adapters of its predictions, the unconditional one included."""
    keeps_features: bool = False
    """Whether the whole call also returns the row's features."""
    keeps_variance: bool = False
    """Whether the sampler is also sent what the network predicts of the variance."""
    keeps_unconditional: bool = False
    """Whether the sampler is also sent the unconditional prediction, where the row is guided."""
    others: tuple[Weighted, ...] = ()
    """The predictions beside these two; none without an unconditional one."""

    @property
    def conditionings(self) -> tuple[Conditioning, ...]:
        """That of each prediction: the conditional one, the unconditional one, then the others."""
        if self.unconditional is None:
            return (self.conditioning,)
        return self.conditioning, self.unconditional, *(other.conditioning for other in self.others)

    def has_shapes_of(self, other: "Row") -> bool:
        """Whether its inputs have the shapes of those of ``other``: only such rows share a call."""
        mine, others = self.conditioning, other.conditioning
        return (
            self.sample.shape == other.sample.shape
            and mine.keys() == others.keys()
            and all(value.shape == others[name].shape for name, value in mine.items())
        )

    def is_asked_like(self, other: "Row") -> bool:
        """Whether it has the conditioning and the guidance of ``other``, as a job has at each of its steps."""
        return (
            self.conditioning is other.conditioning
            and self.unconditional is other.unconditional
            and self.guidance_scale == other.guidance_scale
            and self.guidance_rescale == other.guidance_rescale
            and self.loras == other.loras
            and self.keeps_variance == other.keeps_variance
            and self.keeps_unconditional == other.keeps_unconditional
            and self.others is other.others
        )
