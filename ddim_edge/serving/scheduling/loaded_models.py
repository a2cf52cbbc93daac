"""The models in memory: loaded at first use, the least recently used one unloaded for another."""

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from ...bundle.bundle import Bundle
from ...bundle.read import open_bundle
from ...errors import BundleError, DdimEdgeError
from ...generation.engine import Engine
from ...generation.memory.features import features_row
from ...generation.pipeline import Pipeline
from ...generation.warmup import default_requests, warm_up
from ...networks.components import Components
from ...runtime.hardware.memory import private_bytes
from ...runtime.providers.device import Device
from .call_times import CallTimes
from .catalogue import Catalogue
from .memory_limits import MemoryLimits
from .row_limit import RowLimit
from .submission import Maker, Submission

OnCall = Callable[[str, int, float, bool], None]
"""Called after each network call: the model's name, the call's rows, its seconds, whether of the shallow graph."""


@dataclass(eq=False)
class LoadedModel:
    """A model in memory, and the requests that run on it, oldest first."""

    bundle: Bundle
    engine: Engine
    components: Components
    limit: RowLimit
    provider: str
    precision: str
    """What it computes in."""
    call_times: CallTimes = field(default_factory=CallTimes)
    running: list[Submission] = field(default_factory=list)

    @property
    def most_rows(self) -> int:
        """The most rows of the next network call.

        Where several clients share the model, those beyond one image of each client must pay: otherwise they only make
        the call longer, and one client would slow the others down by the number of its images.
        """
        clients = {each.client: each.rows_per_image for each in self.running}
        if len(clients) < 2:
            return self.limit.rows
        return self.call_times.rows_that_pay(min(sum(clients.values()), self.limit.rows), self.limit.rows)

    @property
    def most_rows_per_call(self) -> int | None:
        """The most rows of a call that keep the limit of memory for every running request; None for no limit."""
        limits = (each.request.rows_per_call for each in self.running)
        return min((limit for limit in limits if limit is not None), default=None)

    def has_room_for(self, submission: Submission) -> bool:
        """Whether every running request, and ``submission``, would get one of its images into every network call.

        For a client's first request it is enough that one request of each client does.
        """
        counted = self.running
        if not self.runs_client_of(submission):
            counted = list({other.client: other for other in reversed(self.running)}.values())
        taken = sum(other.rows_per_image for other in counted)
        return not self.running or taken + submission.rows_per_image <= self.limit.rows

    @property
    def work_left(self) -> float:
        """The work of its running requests, in rows."""
        return sum(each.rows_of_each_kind_left.work for each in self.running)

    @property
    def maker(self) -> Maker:
        """What it makes images with."""
        return Maker(self.bundle.sha256, self.provider, self.precision)

    @property
    def is_overwritten(self) -> bool:
        """Whether it is idle, and has to be loaded again because its files have other contents now."""
        try:
            self.bundle.files.check_not_overwritten()
        except BundleError:
            return not self.running
        return False

    def runs_client_of(self, submission: Submission) -> bool:
        """Whether a request of the same client is running."""
        return any(other.client == submission.client for other in self.running)


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


def load_model(
    bundle: Bundle,
    provider: str | Device,
    max_rows: int,
    budget: int | None,
    on_call: OnCall,
    on_warm_up: Callable[[str], None] | None = None,
    memory: MemoryLimits | None = None,
) -> LoadedModel:
    """Load a model; raises BundleError or ProviderError. ``budget`` is RowLimit's, in bytes.

    ``memory``: the limits of private memory; None for no limit.

    With ``on_warm_up`` the model is run at all batch sizes first; it is called with a message for each.
    """
    bundle = replace(bundle)  # its files may be others than when the model was loaded before
    max_memory, turns = (None, False) if memory is None else (memory.size, memory.turns_of(bundle.name))
    pipeline = Pipeline(bundle, provider, max_memory=max_memory, low_memory=turns)
    if on_warm_up is not None:
        for request in default_requests(pipeline, max_rows):
            on_warm_up(f"{bundle.name}: warming up at batches of {request.num_images}")
            warm_up(pipeline, request)
    kept_row = features_row(bundle, *bundle.sample_shape[1:])
    engine, limit = Engine(pipeline.denoiser), RowLimit(max_rows, budget, private_bytes, kept_row)
    model = LoadedModel(bundle, engine, pipeline.components, limit, pipeline.provider, pipeline.precision)

    def count_call(rows: int, seconds: float) -> None:
        model.call_times.observe(rows, seconds)
        on_call(bundle.name, rows, seconds, False)

    pipeline.denoiser.on_call = count_call
    pipeline.denoiser.on_shallow_call = lambda rows, seconds: on_call(bundle.name, rows, seconds, True)
    _ = bundle.sha256  # cached; recipes need it, and computing it later would block the event loop
    return model
