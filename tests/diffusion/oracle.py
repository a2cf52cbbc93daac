"""A DDIM step as the formulas say it: slow, with a branch for every option, and no table.

Values are float64. Each carries a bound on what the same formulas give in float32, which is how diffusers computes
them; see ``rounding``.
"""

import math

import numpy as np

from .grid import Case
from .rounding import UNIT, Floats, Rounded, exact


def alpha_bars(case: Case) -> Floats:
    """ᾱ_0 … ᾱ_{T-1}, one by one."""
    product, table = 1.0, []
    for beta in _betas(case):
        product *= 1 - beta
        table.append(product)
    if not case.zero_snr:
        return np.array(table)
    first, last = math.sqrt(table[0]), math.sqrt(table[-1])
    return np.array([((math.sqrt(value) - last) * first / (first - last)) ** 2 for value in table])


def _betas(case: Case) -> list[float]:
    total = case.num_train_steps
    if case.betas == "trained":
        betas: list[float] = case.keys()["trained_betas"]
        return betas
    if case.betas == "squaredcos_cap_v2":
        return [min(1 - _cosine((t + 1) / total) / _cosine(t / total), 0.999) for t in range(total)]
    if case.betas == "scaled_linear":
        low, high = math.sqrt(0.0001), math.sqrt(0.02)
        return [(low + (high - low) * t / (total - 1)) ** 2 for t in range(total)]
    return [0.0001 + (0.02 - 0.0001) * t / (total - 1) for t in range(total)]


def _cosine(time: float) -> float:
    return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2


def step(
    case: Case, now: Rounded, then: Rounded, sample: Floats, prediction: Floats, noise: Floats
) -> tuple[Rounded, Rounded]:
    """(next sample, denoised) of eq. 12, from ᾱ_t = ``now`` to ᾱ_t' = ``then``."""
    x, p, z = exact(sample), exact(prediction), exact(noise)
    one, eta = exact(1), exact(case.eta)
    if case.prediction_type == "epsilon":
        denoised = (x - (one - now).sqrt() * p) / now.sqrt()
        eps = p
    elif case.prediction_type == "v_prediction":
        denoised = now.sqrt() * x - (one - now).sqrt() * p
        eps = now.sqrt() * p + (one - now).sqrt() * x
    else:
        denoised = p
        eps = (x - now.sqrt() * denoised) / (one - now).sqrt()
    if case.limit.startswith("clip"):
        denoised = denoised.clip(-case.limit_size, case.limit_size)
    if case.limit.startswith("threshold"):
        denoised = _threshold(case, denoised)
    if case.rederive:
        eps = (x - now.sqrt() * denoised) / (one - now).sqrt()
    sigma = eta * ((one - then) / (one - now) * (one - now / then)).sqrt()
    direction = (one - then - sigma * sigma).sqrt() * eps
    return then.sqrt() * denoised + direction + sigma * z, denoised


def _threshold(case: Case, denoised: Rounded) -> Rounded:
    """Image by image: the range is a quantile of abs(x_0), at least 1 and at most the option's value."""
    images = []
    for value, error in zip(denoised.value, np.broadcast_to(denoised.error, denoised.value.shape), strict=True):
        quantile = np.quantile(abs(value), 0.8)
        # A quantile moves no further than the furthest of its values.
        limit = exact(quantile, error.max() + 4 * UNIT * quantile).clip(1, case.limit_size)
        clipped = exact(np.clip(value, -limit.value, limit.value), error + limit.error)
        images.append(clipped / limit)
    return exact(np.stack([image.value for image in images]), np.stack([image.error for image in images]))
