"""Safety checker: checks a model's images, and turns unsafe ones black."""

import functools
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from ..arrays import Pixels
from ..bundle.layout import INDEX, SAFETY_CHECKER
from ..config import read_json
from ..errors import BundleError, ConfigError, listed, shortened
from ..graphs.external_data import check_onnx_file
from ..images.clip_preprocessor import ClipPreprocessor
from ..runtime.sessions.pool import Sessions
from ..runtime.sessions.session import Session

_UNSAFE_OUTPUT = "has_nsfw_concepts"
_INPUTS = {"clip_input", "images"}


class UncheckedWarning(UserWarning):
    """Images are not checked, although their model has, or names, a safety checker."""


class UnsafeWarning(UserWarning):
    """An image was found unsafe, and made black."""


class CheckedImages(NamedTuple):
    """Images, uint8 (B, H, W, C), and which of them are safe; None if they were not checked."""

    images: Pixels
    is_safe: tuple[bool, ...] | None


class SafetyChecker:
    """The checker's network, opened at its first use, as it may be turned off.

    An image is unsafe if its score is above 0. diffusers rounds the score to three decimals first: an image up to
    0.0005 above the threshold is unsafe here and safe there.
    """

    def __init__(self, path: Path, clip_preprocessor: ClipPreprocessor, sessions: Sessions) -> None:
        self._path, self._clip_preprocessor, self._sessions = path, clip_preprocessor, sessions

    @classmethod
    def open(cls, folder: Path, sessions: Sessions) -> Self | None:
        """The checker of a bundle; None if it has none, with an UncheckedWarning if model_index.json names one.

        Raises BundleError for a broken one.
        """
        path = folder / SAFETY_CHECKER.graph
        if not path.is_file():
            _warn_if_checker_missing(folder)
            return None
        check_onnx_file(path, folder)
        return cls(path, _clip_preprocessor(folder / SAFETY_CHECKER.companion / "preprocessor_config.json"), sessions)

    def check(self, images: Pixels) -> CheckedImages:
        """Check images, uint8 (B, H, W, C), one at a time; unsafe ones are returned black."""
        is_safe = tuple(map(self._is_safe, images))
        kept = np.array(is_safe).reshape(-1, 1, 1, 1)
        return CheckedImages(np.where(kept, images, np.uint8(0)), is_safe)

    def _is_safe(self, image: Pixels) -> bool:
        unit = image[np.newaxis].astype(np.float32) / 255
        unsafe = self._session.run({"clip_input": self._clip_preprocessor(image), "images": unit})[_UNSAFE_OUTPUT]
        return not bool(unsafe.any())

    @functools.cached_property
    def _session(self) -> Session:
        session = self._sessions.open(self._path, self._path.parent.parent)
        if session.inputs.keys() != _INPUTS or _UNSAFE_OUTPUT not in session.outputs:
            raise BundleError(
                f"{self._path} must take {' and '.join(sorted(_INPUTS))} and return {_UNSAFE_OUTPUT}; it takes "
                f"{listed(session.inputs)} and returns {listed(session.outputs)}: export it again"
            )
        return session


def warn_checker_off(model: str) -> None:
    """Warn that the model's checker is turned off."""
    warnings.warn(f"the safety checker of {model} is off: its images are unchecked", UncheckedWarning, stacklevel=3)


def warn_unsafe(indices: Iterable[int], is_safe: Iterable[bool] | None, seed: int) -> None:
    """Warn of every image that is unsafe, and so black. ``seed``: that of image 0."""
    for index, safe in zip(indices, is_safe or (), strict=False):
        if not safe:
            warnings.warn(
                f"the model's safety checker found image {index} (seed {seed + index}) unsafe, and it is black: try "
                "another seed or prompt",
                UnsafeWarning,
                stacklevel=3,
            )


def _warn_if_checker_missing(folder: Path) -> None:
    """Warn if model_index.json names a checker: other exporters keep the name and leave the network out."""
    index = folder / INDEX
    named = read_json(index).get("safety_checker") if index.is_file() else None
    if isinstance(named, list) and any(named):
        warnings.warn(
            f"{index} names a safety checker, and the bundle has none: its images are unchecked",
            UncheckedWarning,
            stacklevel=2,
        )


def _clip_preprocessor(path: Path) -> ClipPreprocessor:
    if not path.is_file():
        raise BundleError(f"{path} is missing, and the safety checker needs it: export or copy feature_extractor again")
    try:
        return ClipPreprocessor.from_json(read_json(path))
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{path} does not say how to prepare an image ({shortened(str(error))}): copy it again"
        ) from None
