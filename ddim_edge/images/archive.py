"""Archives of a run's images: tar files in the layout of webdataset, a picture and its recipe for each image."""

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..arrays import Array
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

    A tar is kept in memory until all its images are there, in any order, and then written whole. A tar that misses
    images when the first of another one comes is dropped.
    """

    def __init__(self, archive: Archive, *arguments: Any) -> None:
        self.archive = archive
        self._members: dict[int, list[tuple[str, bytes]]] = {}
        super().__init__(*arguments)

    def _facts(self) -> Mapping[str, Any]:
        return {**super()._facts(), **self.archive.facts}

    def _tar_name(self, index: int) -> str:
        return f"{index // self.archive.step:06d}.tar"

    def holds(self, index: int) -> bool:
        """Whether the tar of an image is there."""
        return self.storage.holds(self._tar_name(index), {})

    def add(self, index: int, image: Array) -> None:
        """Add an image, uint8 (H, W, C), or a sample to its tar. The last one that was missing has the tar written."""
        tar, recipe = self.archive.tar_of(index), json.dumps(self._recipe_of(index)).encode()
        if not self._members.keys() <= set(tar):
            self._members = {}
        self._members[index] = [(self.name(index), self._contents(index, image)), (f"{index:06d}.json", recipe)]
        if len(self._members) == len(tar):
            members = itertools.chain(*(self._members[each] for each in tar))
            self.storage.write(self._tar_name(index), tar_bytes(members))
            self._members = {}


def folder_of(archive: Archive | None, *arguments: Any) -> ImageFolder:
    """A folder of single files, or with ``archive`` of tar files; ``arguments`` are those of ImageFolder."""
    return ImageFolder(*arguments) if archive is None else ArchiveFolder(archive, *arguments)
