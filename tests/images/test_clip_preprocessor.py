"""What CLIP's image encoder is shown, beside transformers' image processor."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ddim_edge.images.clip_preprocessor import ClipPreprocessor
from tests.helpers.tiny_networks import Transformers

EQUAL = 1e-6
"""Of values to about 2.7: a few roundings of float32."""

CONFIGS: dict[str, dict[str, Any]] = {
    "as Stable Diffusion has it": {"size": {"shortest_edge": 24}, "crop_size": {"height": 24, "width": 24}},
    "as old files have it": {"size": 17, "crop_size": 17, "feature_extractor_type": "CLIPFeatureExtractor"},
    "both sides": {"size": {"height": 20, "width": 31}, "crop_size": {"height": 16, "width": 9}},
    "more than there is": {"size": {"shortest_edge": 11}, "crop_size": {"height": 30, "width": 25}},
    "bilinear, other numbers": {
        "size": {"shortest_edge": 12},
        "crop_size": 12,
        "resample": 2,
        "rescale_factor": 1 / 127.5,
        "image_mean": [0.1, 0.2, 0.3],
        "image_std": [1.0, 2.0, 0.5],
    },
    "scaled alone": {"size": 12, "do_center_crop": False, "do_rescale": False, "do_normalize": False},
    "cut alone": {"crop_size": 8, "do_resize": False},
}


@pytest.mark.parametrize("name", CONFIGS)
@given(height=st.integers(1, 60), width=st.integers(1, 60), seed=st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_pixels_are_those_of_transformers(name: str, height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    theirs = Transformers.CLIPImageProcessorPil(**CONFIGS[name])(
        Image.fromarray(image), return_tensors="np"
    ).pixel_values
    ours = ClipPreprocessor.from_json(CONFIGS[name])(image)
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=EQUAL, rtol=1e-6)


def test_the_usual_size_is_that_of_transformers() -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 517, 3), np.uint8)
    theirs = Transformers.CLIPImageProcessorPil()(Image.fromarray(image), return_tensors="np").pixel_values
    np.testing.assert_allclose(ClipPreprocessor()(image), theirs, atol=EQUAL)
    np.testing.assert_array_equal(ClipPreprocessor()(image), ClipPreprocessor.from_json({})(image))


def test_a_grey_picture_is_shown_in_three_colours() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (24, 24, 1), np.uint8)
    np.testing.assert_array_equal(ClipPreprocessor()(grey), ClipPreprocessor()(np.repeat(grey, 3, axis=2)))
