"""Fréchet distances between sets of real images, for comparison with those of generated ones."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .frechet import Gaussian, frechet_distance

Features = NDArray[np.float32]
Judge = Callable[[NDArray[np.float32]], Features]

NOISE_SIGMA = 0.05


def references(judge: Judge, train: NDArray[np.float32], test: NDArray[np.float32]) -> dict[str, float]:
    """Distances between real images, float32 (N, 1, 28, 28) in [-1, 1]; ``judge`` returns their features.

    ``noisy``, the bar, is plainly the test images plus σ·z: neither clipped to [-1, 1] nor rounded to grey levels.
    """
    features = judge(test)
    whole = Gaussian.fit(features)
    noise = np.random.default_rng(0).standard_normal(test.shape, np.float32)
    noisy = test + np.float32(NOISE_SIGMA) * noise
    rounded = (np.clip(noisy, -1, 1) * 127.5 + 127.5).round() / 127.5 - 1
    return {
        "test_halves": _between_halves(features),
        "train_test": frechet_distance(Gaussian.fit(judge(train)), whole),
        "noisy": frechet_distance(Gaussian.fit(judge(noisy)), whole),
        "noisy_rounded": frechet_distance(Gaussian.fit(judge(rounded.astype(np.float32))), whole),
    }


def _between_halves(features: Features) -> float:
    order = np.random.default_rng(0).permutation(len(features))
    first, second = np.array_split(features[order], 2)
    return frechet_distance(Gaussian.fit(first), Gaussian.fit(second))


def floor(train: Features, labels: NDArray[np.int64], whole: Gaussian, num_images: int, repeats: int = 5) -> float:
    """The mean distance to ``whole`` of ``num_images`` real training images, evenly over the classes.

    A set of this size is that far from the test images although it is real: it bounds what generated images can reach.
    """
    random = np.random.default_rng(0)
    draws = (_even_draw(labels, num_images, random) for _ in range(repeats))
    return float(np.mean([frechet_distance(Gaussian.fit(train[rows]), whole) for rows in draws]))


def _even_draw(labels: NDArray[np.int64], num_images: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Indices of ``num_images`` images, the k-th of class k mod 10, as of generated images."""
    shuffled = random.permutation(len(labels))
    by_class = [shuffled[labels[shuffled] == label] for label in range(10)]
    return np.array([by_class[position % 10][position // 10] for position in range(num_images)])
