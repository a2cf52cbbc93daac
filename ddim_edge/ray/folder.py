"""The folder that the workers of a run share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..generation.requests.request import Request
from ..images.earlier_files import RunFiles, make_room
from ..images.remote import is_url
from ..images.save import RUN_FILE, ImageFolder
from ..images.storage import storage_of


@dataclass(frozen=True)
class Folder:
    """Where the images of a request go: a URL, or an absolute path that every machine has, and what its files hold."""

    target: str
    recipe: Mapping[str, Any]
    suffix: str = ".png"
    png_level: int | None = None
    mixed_machines: bool = False

    @classmethod
    def at(cls, target: str, recipe: Mapping[str, Any], suffix: str, png_level: int | None, mixed: bool) -> Self:
        """The folder of a path, which may be relative to this process's current folder, or of a URL."""
        return cls(target if is_url(target) else str(Path(target).resolve()), recipe, suffix, png_level, mixed)

    def open(self, machine: Mapping[str, str] | None) -> ImageFolder:
        """The folder on a worker of that kind of machine. OutputError where the folder is of another run or kind."""
        kind = None if self.mixed_machines else machine
        return ImageFolder(storage_of(self.target), self.recipe, self.suffix, kind, self.png_level)

    def missing(self, request: Request, *, force: bool = False) -> list[range]:
        """The chunks of a request that are not whole here. ``force`` removes the files of another run, and others in
        the way; OutputError without it.

        In a new folder, the first worker writes down what kind of machine it is: none is opened here.
        """
        storage = storage_of(self.target)
        storage.create()
        make_room(storage, RunFiles(request.num_images, self.suffix), lambda: self.open(None), force=force)
        if storage.read(RUN_FILE, 1) is None:
            return list(request.chunks())
        folder = self.open(None)
        return [chunk for chunk in request.chunks() if not all(map(folder.holds, chunk))]
