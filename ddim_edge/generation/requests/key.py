"""The key of an image: what decides its bytes, as one SHA-256."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_COUNTS = ("num_images", "batch_size")


def image_key(recipe: Mapping[str, Any], index: int, file: Mapping[str, Any], *, provider: str, precision: str) -> str:
    """The key of image ``index`` of a run: 64 hexadecimal digits. Images of one key are the same to the last byte.

    Of the number of images and the batch size, it has only which images were made together with this one: the first
    image of a hundred is that of ten, except between two prompts.

    Args:
        recipe: of ``recipe_of``; it has the model's hash, and this package's version.
        index: of the image in its run, from 0.
        file: what the file is: its format, its compression, whether the recipe is inside. ``num_images`` is in a recipe
            and not in the key, so of files with the recipe inside only those of one number of images are the same.
        provider: what the network ran on.
        precision: what it computed in.
    """
    together = _together(recipe["num_images"], recipe["batch_size"], index)
    left_out = ("index", "batch_size") if recipe.get("between_prompts") else ("index", *_COUNTS)
    settings = {name: value for name, value in recipe.items() if name not in left_out}
    made = {"index": index, "together": together, "provider": provider, "precision": precision}
    text = json.dumps(_canonical([settings, dict(file), made]), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _together(num_images: int, batch_size: int, index: int) -> list[int]:
    """The first image of the batch of image ``index``, and how many images it has."""
    first = index - index % batch_size
    return [first, min(batch_size, num_images - first)]


def _canonical(value: Any) -> Any:
    """JSON values in one form: 2.0 is 2, as it is the same setting."""
    if isinstance(value, Mapping):
        return {name: _canonical(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
