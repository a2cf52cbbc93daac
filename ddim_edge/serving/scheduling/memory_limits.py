"""The limits of private memory for the models of a server."""

from collections.abc import Mapping

from ...bundle.bundle import Bundle
from ...generation.memory.limit import MemoryLimit, usual_request
from ...generation.requests.request import Request
from ...runtime.providers.device import Device


class MemoryLimits:
    """For each of the server's models how its requests keep the limit ``size``; immutable, so any thread may read it.

    ``max_rows``: most rows of a network call. Raises ConfigError for a limit that a model cannot keep.
    """

    def __init__(self, bundles: Mapping[str, Bundle], provider: Device | str, size: int | str, max_rows: int) -> None:
        device = Device.parse(provider) if isinstance(provider, str) else provider
        self.size = size
        self._limits = {name: MemoryLimit(bundle, device, size, max_rows) for name, bundle in bundles.items()}
        self._turns = {name: self._limits[name].plan(usual_request(bundles[name])).turns for name in bundles}

    def turns_of(self, model: str) -> bool:
        """Whether the model's networks are opened one at a time."""
        return self._turns[model]

    def fit(self, request: Request, model: str) -> Request:
        """The request with the tiles and rows per call that keep the limit. Raises ConfigError where none do."""
        return self._limits[model].fit(request, turns=self._turns[model])
