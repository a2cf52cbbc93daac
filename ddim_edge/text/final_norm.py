"""The text encoder's last layer norm, for hidden states of an earlier layer.

The norm has a scale and a shift for each channel, which are no outputs of a graph. But a graph returns what the norm is
given and what it makes of it: for each channel, a straight line through as many points as there are tokens.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_EPSILON = 1e-5
"""CLIP's."""


def final_norm(
    states: NDArray[np.floating[Any]], last: NDArray[np.floating[Any]], normed: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """Norm ``states`` as the encoder made ``normed`` of ``last``; all are (tokens, width)."""
    before, after = _standardized(last), normed.astype(np.float64)
    middle, mean = before.mean(0), after.mean(0)
    spread = ((before - middle) ** 2).sum(0)
    scale = ((before - middle) * (after - mean)).sum(0) / np.where(spread > 0, spread, 1)
    found: NDArray[np.float32] = (mean + scale * (_standardized(states) - middle)).astype(np.float32)
    return found


def _standardized(states: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    centred = states.astype(np.float64)
    centred -= centred.mean(-1, keepdims=True)
    centred /= np.sqrt((centred**2).mean(-1, keepdims=True) + _EPSILON)
    return centred
