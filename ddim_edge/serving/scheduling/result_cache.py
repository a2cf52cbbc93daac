"""The cache of results (``--cache-results``): finished images as files, by their key."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from ...generation.requests.step_cache import ImageCalls


class CachedImage(NamedTuple):
    """A finished image: its file without a recipe inside, the safety checker's result, and its calls."""

    file: bytes
    is_safe: bool | None
    calls: ImageCalls


class ResultCache:
    """At most ``most_bytes`` of files; the least recently used are dropped first. Not thread-safe."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._images = most_bytes, OrderedDict[str, CachedImage]()
        self.bytes = 0
        """Of all files."""

    def find(self, keys: Sequence[str]) -> list[CachedImage] | None:
        """The images of ``keys``; None if one of them is not there."""
        if not all(key in self._images for key in keys):
            return None
        for key in keys:
            self._images.move_to_end(key)
        return [self._images[key] for key in keys]

    def add(self, key: str, image: CachedImage) -> None:
        """Keep an image, unless it is there, or larger than the cache."""
        if key in self._images or len(image.file) > self._most_bytes:
            return
        self._images[key] = image
        self.bytes += len(image.file)
        while self.bytes > self._most_bytes:
            _, dropped = self._images.popitem(last=False)
            self.bytes -= len(dropped.file)
