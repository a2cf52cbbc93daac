"""Joint text: what Stable Diffusion 3 reads, the hidden states of its CLIP encoders and behind them those of T5."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..arrays import Array
from ..bundle.layout import POOLED_TEXT, T5_TOKENS
from ..errors import BundleError
from ..runtime.sessions.tensors import TensorInfo
from .clip_text_model import ClipTextModel
from .t5_text_model import T5TextModel


class JointText:
    """Joins hidden states to ``width``. Without ``t5`` its part is zeros, as the networks know it from their training.

    (Esser et al. 2024, https://arxiv.org/abs/2403.03206: each encoder was left out at random.)
    """

    def __init__(self, width: int, t5: T5TextModel | None) -> None:
        self._width, self._t5 = width, t5

    def joined(self, clip: Array, text: str) -> Array:
        """The hidden states of all encoders, float32 (tokens of CLIP + 256, width).

        ``clip``: those of CLIP, side by side. ``text`` is without weights, which T5 does not read.
        """
        widened = np.pad(clip, ((0, 0), (0, self._width - clip.shape[1])))
        if self._t5 is None:
            return np.concatenate([widened, np.zeros((T5_TOKENS, self._width), np.float32)])
        return np.concatenate([widened, self._t5.encode(text).hidden])


def joint_text(
    encoders: Sequence[ClipTextModel], t5: T5TextModel | None, inputs: Mapping[str, TensorInfo]
) -> JointText | None:
    """The joint text of a network with these ``inputs``; None for one that reads none.

    BundleError where the widths of the encoders do not fit the network.
    """
    if POOLED_TEXT not in inputs:
        return None
    clip = _total(encoder.width for encoder in encoders)
    pooled = _total(encoder.pooled_width for encoder in encoders)
    width, wanted = (inputs[name].shape[-1] for name in ("encoder_hidden_states", POOLED_TEXT))
    fits = isinstance(width, int) and clip <= width and pooled == wanted and (t5 is None or t5.width == width)
    if not fits:
        found = f"CLIP encoders of width {clip}, pooled {pooled}" + (f", and T5 of {t5.width}" if t5 else "")
        raise BundleError(
            f"the transformer takes text of width {width} and pooled text of {wanted}, and the bundle has {found}: one "
            "of its components is from another model"
        )
    assert isinstance(width, int)
    return JointText(width, t5)


def _total(widths: Iterable[int | str]) -> int:
    """The sum of the widths that the graphs fix, which exports do."""
    return sum(width for width in widths if isinstance(width, int))
