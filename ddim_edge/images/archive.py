"""Archives of a run's images: tar files in the layout of webdataset, a picture and its recipe for each image."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..arrays import Pixels
from .save import ImageFolder
from .tar import tar_bytes


class Archive(NamedTuple):
    """How a run's images are divided into tar files: each has whole batches, the last one what is left."""

    num_images: int
    batch_size: int
    images_per_tar: int

    @property
    def step(self) -> int:
        """The number of images in each tar but the last: ``images_per_tar`` in whole batches, at least one batch."""
        return max(self.images_per_tar // self.batch_size, 1) * self.batch_size

    def tar_of(self, index: int) -> range:
        """The images of the tar that has image ``index``."""
        first = index - index % self.step
        return range(first, min(first + self.step, self.num_images))

    def tars(self) -> Iterator[range]:
        """The images of each tar."""
        return map(self.tar_of, range(0, self.num_images, self.step))

    @property
    def facts(self) -> dict[str, Any]:
        """What ``run.json`` has beyond the recipe: a folder goes on only with the same tars."""
        return {"archive": "webdataset", "num_images": self.num_images, "images_per_tar": self.step}


class ArchiveFolder(ImageFolder):
    """A folder of tar files, ``000000.tar`` and so on, with ``000123.png`` and ``000123.json`` for image 123.

    A tar is kept in memory until its last image is there, and then written whole. Images come in order within a tar.
    """

    def __init__(self, archive: Archive, *arguments: Any) -> None:
        self.archive = archive
        self._members: list[tuple[str, bytes]] = []
        super().__init__(*arguments)

    def _facts(self) -> Mapping[str, Any]:
        return {**super()._facts(), **self.archive.facts}

    def _tar_name(self, index: int) -> str:
        return f"{index // self.archive.step:06d}.tar"

    def holds(self, index: int) -> bool:
        """Whether the tar of an image is there."""
        return self.storage.holds(self._tar_name(index), {})

    def add(self, index: int, image: Pixels) -> None:
        """Add an image, uint8 (H, W, C), to its tar. The tar's last image has the tar written."""
        recipe = json.dumps(self._recipe_of(index)).encode()
        self._members += [(self.name(index), self._contents(index, image)), (f"{index:06d}.json", recipe)]
        if index == self.archive.tar_of(index)[-1]:
            self.storage.write(self._tar_name(index), tar_bytes(self._members))
            self._members = []
