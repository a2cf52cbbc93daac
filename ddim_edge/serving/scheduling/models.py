"""The models that the server was started with, by name, and those of them that are open."""

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ...bundle.bundle import Bundle
from ...bundle.read import open_bundle
from ...errors import ConfigError, choose_from
from ...generation.engine import Engine
from ...generation.pipeline import Pipeline
from ...generation.warmup import default_requests, warm_up
from ...images.encode import check_channels
from ...networks.components import Components
from ...runtime.hardware.memory import used_bytes
from ...runtime.providers.device import Device
from ..errors import NotFound
from .row_limit import RowLimit
from .submission import Submission

Models = Sequence[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str]]
"""Bundled names, folders, NAME=FOLDER; or a folder for each name."""
OnCall = Callable[[str, int, float], None]
"""Told a model's name, the rows of a network call, and its seconds."""


class Catalogue:
    """Every model that there is, none of them open. Immutable, so any thread may ask it."""

    def __init__(self, models: Models) -> None:
        self.bundles = {name: replace(open_bundle(path), name=name) for name, path in _named(models).items()}
        if not self.bundles:
            raise ConfigError("there is no model to serve: name one")
        for bundle in self.bundles.values():
            check_channels(bundle.image_shape()[0])
            if bundle.controls:
                raise ConfigError(f"{bundle.name} has a ControlNet, whose image only `ddim-edge run` takes yet")

    @property
    def names(self) -> list[str]:
        return list(self.bundles)

    def find(self, name: str | None) -> Bundle:
        """The model of a name, the first one without; NotFound, with the nearest, for a name that is not there."""
        name = self.names[0] if name is None else name
        if name not in self.bundles:
            raise NotFound(choose_from("model", name, self.bundles), param="model", code="model_not_found")
        return self.bundles[name]


def _named(models: Models) -> dict[str, str | os.PathLike[str]]:
    if isinstance(models, Mapping):
        return dict(models)
    named: dict[str, str | os.PathLike[str]] = {}
    for model in models:
        name, equals, folder = os.fspath(model).partition("=")
        if not equals:
            name, folder = Path(model).resolve().name, os.fspath(model)
        if name in named:
            raise ConfigError(f"two models are called {name!r}: give one of them another name, NAME=FOLDER")
        named[name] = folder
    return named


@dataclass(eq=False)
class Resident:
    """A model that is open, and what runs on it, first come first."""

    bundle: Bundle
    engine: Engine
    components: Components
    limit: RowLimit
    running: list[Submission] = field(default_factory=list)

    def has_room_for(self, submission: Submission) -> bool:
        """Whether, with it, every running request still gets one of its images into every call."""
        taken = sum(other.rows_at_least for other in self.running)
        return not self.running or taken + submission.rows_at_least <= self.limit.rows


class Residents:
    """The open models, at most ``most``; the least recently used one leaves for another.

    Belongs to one thread. Models are opened in a thread beside it, so that those which run go on meanwhile.
    """

    def __init__(self, catalogue: Catalogue, most: int, load: Callable[[Bundle], Resident]) -> None:
        self._catalogue, self._most, self._load = catalogue, most, load
        self._open: OrderedDict[str, Resident] = OrderedDict()
        self._opening: dict[str, Future[Resident]] = {}
        self._loader = ThreadPoolExecutor(1, "ddim-edge-loader")

    def preload(self) -> None:
        """Open as many models as may be, now, in the order in which they were named."""
        for name in self._catalogue.names[: self._most]:
            self._open[name] = self._load(self._catalogue.bundles[name])

    def get(self, name: str) -> Resident | None:
        """The open model of a name; None while it is being opened, and while it waits for another one to leave.

        Raises what its opening raised; the next call tries again.
        """
        if name in self._opening and self._opening[name].done():
            self._open[name] = self._opening.pop(name).result()
        if name in self._open:
            self._open.move_to_end(name)
            return self._open[name]
        if name not in self._opening and self._makes_room():
            self._opening[name] = self._loader.submit(self._load, self._catalogue.bundles[name])
        return None

    def is_opening(self, name: str) -> bool:
        """Whether a model is on its way; if not, and it is not open, all places are taken by models that run."""
        return name in self._opening

    def busy(self) -> list[Resident]:
        """The open models that have something to do."""
        return [resident for resident in self._open.values() if resident.running]

    def close(self) -> None:
        """Open nothing more."""
        self._loader.shutdown(wait=False, cancel_futures=True)

    def _makes_room(self) -> bool:
        if len(self._open) + len(self._opening) < self._most:
            return True
        idle = next((name for name, resident in self._open.items() if not resident.running), None)
        if idle is not None:
            del self._open[idle]
        return idle is not None


def open_resident(
    bundle: Bundle,
    provider: str | Device,
    max_rows: int,
    budget: int | None,
    on_call: OnCall,
    tell: Callable[[str], None] | None = None,
) -> Resident:
    """Open a model, and warm it up where there is somebody to ``tell``; BundleError or ProviderError where it fails."""
    pipeline = Pipeline(bundle, provider)
    if tell is not None:
        for request in default_requests(pipeline, max_rows):
            tell(f"{bundle.name}: warming up at batches of {request.num_images}")
            warm_up(pipeline, request)
    pipeline.denoiser.on_call = partial(on_call, bundle.name)
    _ = bundle.sha256  # it is cached: recipes need it, and here nobody waits for the event loop
    return Resident(bundle, Engine(pipeline.denoiser), pipeline.components, RowLimit(max_rows, budget, used_bytes))
