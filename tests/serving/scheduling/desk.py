"""A scheduler whose turns a test takes by hand, without a thread."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ddim_edge.bundle.bundle import Bundle
from ddim_edge.generation.requests.options import request_of
from ddim_edge.serving.scheduling.call_times import CallTimes
from ddim_edge.serving.scheduling.catalogue import Catalogue
from ddim_edge.serving.scheduling.loaded_model import LoadedModel, load_model
from ddim_edge.serving.scheduling.loaded_models import LoadedModels
from ddim_edge.serving.scheduling.scheduler import Scheduler
from ddim_edge.serving.scheduling.submission import Ended, Event, ImageDone, Submission


@dataclass(eq=False)
class Asked:
    """A submission and what its listener heard."""

    submission: Submission
    heard: list[Event] = field(default_factory=list)

    @property
    def images(self) -> list[Any]:
        made = {event.index: event.image for event in self.heard if isinstance(event, ImageDone)}
        return [made[index] for index in sorted(made)]

    @property
    def error(self) -> Exception | None:
        assert isinstance(self.heard[-1], Ended)
        return self.heard[-1].error


Seconds = Callable[[int], float]


class FixedTimes(CallTimes):
    """Call times that do not depend on this machine."""

    def __init__(self, seconds: Seconds) -> None:
        super().__init__()
        self._fixed = seconds

    def observe(self, rows: int, _seconds: float) -> None:
        super().observe(rows, self._fixed(rows))


class Desk:
    """A scheduler over some bundles, and the model and rows of every network call.

    ``seconds``: how long a call is said to take by its rows; by default as long as one row.
    """

    def __init__(
        self, *folders: Path, max_rows: int = 16, max_models: int = 3, seconds: Seconds = lambda _: 1.0
    ) -> None:
        self.now, self.calls, self.shallow_calls = 0.0, list[tuple[str, int]](), list[tuple[str, int]]()
        self.catalogue = Catalogue({folder.name: folder for folder in folders})

        def load(bundle: Bundle) -> LoadedModel:
            model = load_model(bundle, "cpu", max_rows, None, self._called)
            model.call_times = FixedTimes(seconds)
            return model

        self.loaded_models = LoadedModels(self.catalogue, max_models, load)
        self.loaded_models.preload()
        self.scheduler = Scheduler(self.loaded_models)

    @property
    def rows(self) -> list[int]:
        return [rows for _, rows in self.calls]

    def _called(self, name: str, rows: int, _seconds: float, shallow: bool) -> None:
        (self.shallow_calls if shallow else self.calls).append((name, rows))

    def ask(
        self, model: str = "tiny", deadline: float = 100, partials: int = 0, client: str | None = None, **options: Any
    ) -> Asked:
        heard: list[Event] = []
        request = request_of(self.catalogue.find(model), options)  # type: ignore[arg-type]
        asked = Asked(Submission(model, request, heard.append, deadline, partials, client), heard)
        self.scheduler.waiting.append(asked.submission)
        return asked

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.scheduler.turn(self.now)

    def loaded_model(self, name: str = "tiny") -> LoadedModel:
        found = self.loaded_models.get(name)
        assert found is not None
        return found
