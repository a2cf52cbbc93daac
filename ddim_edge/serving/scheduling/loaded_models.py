"""The models in memory: loaded at first use, the least recently used one unloaded for another."""

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from ...bundle.bundle import Bundle
from ...bundle.read import open_bundle
from ...errors import DdimEdgeError
from .catalogue import Catalogue
from .loaded_model import LoadedModel
from .submission import Maker


class LoadedModels:
    """At most ``max_models`` models in memory; the least recently used idle one is unloaded for another.

    Not thread-safe. Models are loaded in a background thread, so that the others keep running.
    """

    def __init__(self, catalogue: Catalogue, max_models: int, load: Callable[[Bundle], LoadedModel]) -> None:
        self._catalogue, self._max_models, self._load = catalogue, max_models, load
        self._loaded: OrderedDict[str, LoadedModel] = OrderedDict()
        self._loading: dict[str, Future[LoadedModel]] = {}
        self._failed: set[str] = set()
        self._executor = ThreadPoolExecutor(1, "ddim-edge-loader")

    def preload(self) -> None:
        """Load the first ``max_models`` models of the catalogue, and wait for them."""
        for name in self._catalogue.names[: self._max_models]:
            self._loaded[name] = self._load(self._catalogue.bundles[name])

    def get(self, name: str) -> LoadedModel | None:
        """The model if it is loaded; else None, and loading starts as soon as there is room for it.

        Raises the error of a failed load once; the next call tries again.
        """
        if name in self._loading and self._loading[name].done():
            self._failed.add(name)
            self._loaded[name] = self._loading.pop(name).result()
            self._failed.discard(name)
        if name in self._loaded and self._loaded[name].is_overwritten:
            del self._loaded[name]
        if name in self._loaded:
            self._loaded.move_to_end(name)
            return self._loaded[name]
        if name not in self._loading and self._make_room():
            self._loading[name] = self._executor.submit(self._load, self._catalogue.bundles[name])
        return None

    def maker(self, name: str) -> Maker | None:
        """What would make an image of the model now; None if it has to be loaded first. May be called from any thread.

        It is also None for files that were overwritten, until the model is loaded again.
        """
        model = self._loaded.get(name)
        return None if model is None or model.is_overwritten else model.maker

    def is_loading(self, name: str) -> bool:
        """Whether the model is being loaded. If not, and it is not loaded, all places are taken by busy models."""
        return name in self._loading

    def can_run(self, name: str) -> bool:
        """Whether the model is loaded, or could be as far as is known: no load has failed, and its files are there.

        May be called from any thread.
        """
        if name in self._loaded:
            return True
        try:
            open_bundle(self._catalogue.bundles[name].folder)
        except DdimEdgeError:
            return False
        return name not in self._failed

    def busy(self) -> list[LoadedModel]:
        """The loaded models that run at least one request."""
        return [model for model in self._loaded.values() if model.running]

    def close(self) -> None:
        """Load no further models."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _make_room(self) -> bool:
        if len(self._loaded) + len(self._loading) < self._max_models:
            return True
        idle = next((name for name, model in self._loaded.items() if not model.running), None)
        if idle is not None:
            del self._loaded[idle]
        return idle is not None
