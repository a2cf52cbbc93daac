"""What runs in Ray's actors: each holds a Pipeline, and is called with one row at a time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from ..bundle.bundle import Bundle
from ..bundle.read import bundled_names, open_bundle
from ..errors import ConfigError
from ..generation.machine import machine_of
from ..generation.pipeline import Pipeline
from ..generation.requests.request import Request
from ..images.save import ImageFolder
from ..runtime.hardware import cpu
from ..runtime.providers.device import Device
from .folder import Folder


@dataclass(frozen=True)
class Model:
    """The model of every worker, and what it runs on. ``name``: that of a bundled model, or an absolute folder."""

    name: str
    device: Device
    low_memory: bool = False
    max_memory: int | str | None = None

    @classmethod
    def of(cls, bundle: Bundle, device: Device, low_memory: bool, max_memory: int | str | None) -> Self:
        """The model as another machine finds it, with the threads that a run on this one would have."""
        name = bundle.name if bundle.name in bundled_names() else str(bundle.folder.resolve())
        threads = device.threads or cpu.describe().chosen or 1
        return cls(name, replace(device, threads=threads), low_memory, max_memory)

    def open(self, request: Request | None = None) -> Pipeline:
        """Open it, for ``request``."""
        bundle = open_bundle(self.name)
        return Pipeline(bundle, self.device, low_memory=self.low_memory, max_memory=self.max_memory, request=request)


class ChunkWorker:
    """Makes one chunk of a request per call, and writes the files that a plain run would write.

    A chunk whose files are there already is left alone, so a call that is made again does no harm.
    """

    def __init__(self, model: Model, request: Request, folder: Folder) -> None:
        self._model, self._request, self._shared = model, request, folder

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row of a chunk, with the number of images made, the provider, and what the safety checker found."""
        chunk = range(int(row["start"]), int(row["stop"]))
        is_safe: list[bool] = []
        num_made = 0
        if not all(map(self._folder.holds, chunk)):
            is_safe, num_made = self._make(chunk), len(chunk)
        return {**row, "num_made": num_made, "provider": self._pipeline.provider, "is_safe": is_safe}

    def _make(self, chunk: range) -> list[bool]:
        is_safe: list[bool] = []
        for progress in self._pipeline.run(self._request, [chunk]):
            if not progress.ended:
                continue
            for index, image in zip(progress.indices, progress.contents(self._shared.suffix), strict=True):
                self._folder.add(index, image)
            is_safe.extend(progress.is_safe or ())
        return is_safe

    # Opened by the first call, not by __init__: Ray passes on the exceptions of calls alone as they are.

    @cached_property
    def _pipeline(self) -> Pipeline:
        pipeline = self._model.open(self._request)
        pipeline.check(self._request)
        _check_same_model(pipeline.recipe(self._request), self._shared.recipe)
        return pipeline

    @cached_property
    def _folder(self) -> ImageFolder:
        return self._shared.open(machine_of(self._pipeline))


class RowWorker:
    """Makes the images of one row of options per call, as ``Pipeline.generate`` does."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row with ``images``, uint8 (N, H, W, C), or of arrays ``samples``, and ``recipe``, JSON text."""
        result = self._pipeline.generate(**options_of(row))
        made = {"samples": result.samples} if result.pixels is None else {"images": result.pixels}
        return {**row, **made, "recipe": json.dumps(result.recipe)}

    @cached_property
    def _pipeline(self) -> Pipeline:
        return self._model.open()


def options_of(row: Mapping[str, Any]) -> Any:
    """The options in a row of a table, as Python values: a cell without a value leaves its option out."""
    values = {name: _plain(value) for name, value in row.items()}
    return {name: value for name, value in values.items() if value is not None and value == value}


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _check_same_model(here: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise ConfigError where a worker's model or version is not that of the run: it would make other images."""
    for key in ("model_sha256", "version"):
        if here[key] != wanted[key]:
            raise ConfigError(
                f"a worker has the {key} {here[key]}, and the run has {wanted[key]}: install the same model and the "
                "same version of ddim-edge on every machine of the cluster"
            )
