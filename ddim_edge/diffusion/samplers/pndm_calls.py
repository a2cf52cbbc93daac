"""Where PNDM's calls stand: the timesteps of its warm-up, and of the steps behind it (see ``pndm``)."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def gaps(steps: Ints, gap: int | None) -> Ints:
    """The length of each step, int64 (S,): ``gap``, or without it to the next one; the last goes before timestep 0."""
    return -np.diff(steps, append=-1) if gap is None else np.full(len(steps), gap)


def full(steps: Ints, gaps: Ints) -> tuple[Ints, Ints, Ints]:
    """Per call: the network's timestep, and where φ starts and ends. Half a step is rounded as in diffusers."""
    half, now, then = gaps[:3] // 2, steps[:3], steps[1:4]
    fed = np.stack((now, then + half, then + half, then), axis=1).ravel()
    ends = np.stack((now - half, then + half, then, then), axis=1).ravel()
    rest = steps[3:]
    return np.append(fed, rest), np.append(now.repeat(4), rest), np.append(ends, rest - gaps[3:])


def reduced(steps: Ints, gaps: Ints) -> tuple[Ints, Ints, Ints]:
    """The same of the short warm-up: one step made twice."""
    fed = np.insert(steps, 1, steps[1])
    starts, ends = fed.copy(), fed - np.insert(gaps, 1, 0)
    starts[1] += gaps[0]
    return fed, starts, ends
