"""Spherical interpolation between two samples of noise (DDIM, section 5.3)."""

import numpy as np

from ..arrays import Sample


def slerp(first: Sample, last: Sample, num_frames: int) -> Sample:
    """Spherical interpolation, eq. 67 of DDIM's appendix D.5, from ``first`` to ``last``, both float32 (1, C, H, W).

    Returns float32 (num_frames, C, H, W). On a straight line the samples between would have a smaller norm: too little
    noise for the network.
    """
    a, b = first.astype(np.float64).ravel(), last.astype(np.float64).ravel()
    cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    angle = np.arccos(np.clip(cosine, -1, 1))
    share = np.linspace(0, 1, num_frames)[:, None]
    if np.sin(angle) < 1e-6:  # the same direction: the sphere is flat there
        between = (1 - share) * a + share * b
    else:
        between = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    frames: Sample = between.reshape(num_frames, *first.shape[1:]).astype(np.float32)
    return frames
