"""A sampler without a model: the "network" is a NumPy function, so no ONNX Runtime is needed.

The data are images from a normal distribution around a drawn disc. Their best possible denoiser is a formula, and
sampling with it must give discs.
"""

import sys

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import ddim_edge

SIDE, DEVIATION = 64, 0.1
Y, X = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
MEAN = np.where(np.hypot(X, Y) < 0.7, 0.8, -0.8).astype(np.float32)

CONFIG = ddim_edge.DdimConfig()  # or ddim_edge.sampler_config("scheduler_config.json"), for any sampler
ALPHA_BARS = ddim_edge.DdimSchedule(CONFIG, num_steps=50).alpha_bars


def network(sample: NDArray[np.float32], timestep: float) -> NDArray[np.float32]:
    """Predict ε: x_t = sqrt(ᾱ)·x_0 + sqrt(1-ᾱ)·ε with the posterior mean of x_0 under N(MEAN, DEVIATION²)."""
    alpha_bar = ALPHA_BARS[int(timestep)]
    signal, noise = np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)
    gain = DEVIATION**2 * signal / (DEVIATION**2 * alpha_bar + noise**2)
    x_0 = MEAN + gain * (sample - signal * MEAN)
    return np.asarray((sample - signal * x_0) / noise, np.float32)


def main(out: str = "samplers_alone.png") -> None:
    x_t = np.random.default_rng(0).standard_normal((1, 1, SIDE, SIDE), np.float32)
    sampler = ddim_edge.start(CONFIG, num_steps=50, sample=x_t)
    query = next(sampler)
    while True:
        try:
            query = sampler.send(network(query.sample, query.timestep))
        except StopIteration as end:
            x_0 = end.value
            break
    print(f"mean distance to the disc: {np.abs(x_0[0, 0] - MEAN).mean():.3f}")
    Image.fromarray(np.uint8(np.clip(x_0[0, 0] / 2 + 0.5, 0, 1) * 255)).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:2])
