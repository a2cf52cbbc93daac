"""The Python model of a repository: Triton's Python backend makes an instance of it. Needs ``ddim-edge[serve]``."""

import asyncio
import json
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..serving.logs import log_to_stderr
from ..serving.scheduling.async_engine import AsyncEngine
from ..serving.server import SWITCH_S
from ..serving.settings import Settings, settings_of
from ..text import TruncationWarning
from .answer import answer
from .repository import BUNDLE


class TritonPythonModel:
    """An engine that steps all requests together. Its methods are those that Triton calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open the bundle beside model.py. Raises ConfigError for an unknown setting, BundleError, ProviderError."""
        settings = _settings(json.loads(args["model_config"]))
        _set_up_process(settings)
        bundle = Path(args["model_repository"], args["model_version"], BUNDLE)
        self.engine = AsyncEngine({args["model_name"]: bundle}, settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ddim-edge-triton", daemon=True)
        self._thread.start()

    def execute(self, requests: Sequence[Any]) -> None:
        """Begin to answer ``requests``, without waiting for any of them."""
        for request in requests:
            coroutine = answer(self.engine, request.parameters(), request.get_response_sender())
            asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def finalize(self) -> None:
        """Stop the engine. Triton calls it when all requests have been answered."""
        asyncio.run_coroutine_threadsafe(self.engine.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _settings(config: Mapping[str, Any]) -> Settings:
    """The settings in the configuration's parameters. Names in capitals are parameters of the Python backend."""
    given = {name: value["string_value"] for name, value in config.get("parameters", {}).items()}
    return settings_of({name: _value(text) for name, text in given.items() if not name.isupper()})


def _value(text: str) -> Any:
    """A number, true or false, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _set_up_process(settings: Settings) -> None:
    """Log to stderr, which is Triton's log, and let the engine thread have the interpreter sooner."""
    log_to_stderr(settings.log_prompts)
    if not settings.log_prompts:  # the warning quotes the words that were cut off
        warnings.simplefilter("ignore", TruncationWarning)
    sys.setswitchinterval(SWITCH_S)
