"""Fashion-MNIST (Xiao, Rasul, Vollgraf 2017): 60,000 + 10,000 grey images of 28x28 pixels in ten classes."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ddim_edge.errors import ConfigError

DEFAULT_FOLDER = Path("/usr/share/datasets/fashion-mnist")
NAMES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")
NULL_CLASS = len(NAMES)


def load(split: str, folder: Path = DEFAULT_FOLDER) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images, uint8 (N, 28, 28), and labels, int64 (N,), of ``split``: "train" or "t10k".

    Raises ConfigError where the folder lacks one of the four files of the data set.
    """
    images = _read_idx(folder / f"{split}-images-idx3-ubyte.gz", header_bytes=16)
    labels = _read_idx(folder / f"{split}-labels-idx1-ubyte.gz", header_bytes=8)
    return images.reshape(-1, 28, 28), labels.astype(np.int64)


def _read_idx(path: Path, header_bytes: int) -> NDArray[np.uint8]:
    try:
        raw = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(
            f"{path} is not there: install Debian's package dataset-fashion-mnist, or give its folder with --data"
        ) from None
    return np.frombuffer(raw, np.uint8, offset=header_bytes)
