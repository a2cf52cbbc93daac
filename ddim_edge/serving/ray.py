"""The server as an application of Ray Serve. Needs ``ddim-edge[serve,ray]``.

``serve run ddim_edge.serving.ray:app`` serves the bundled model; ``ddim_edge.serving.ray:build`` takes the arguments
``models`` and ``settings``, on the command line or from a configuration file.
"""

import os
import sys
import warnings
from dataclasses import replace
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.middleware import Middleware

from ..errors import ConfigError
from ..text import TruncationWarning
from .app import create_app
from .http.proxy_errors import ProxyErrorsMiddleware
from .logs import log_to_stderr
from .scheduling.async_engine import AsyncEngine
from .server import SWITCH_S
from .settings import Settings, settings_of

try:
    from ray import serve
    from ray.serve.config import AutoscalingConfig, BackpressureConfig
except ModuleNotFoundError as missing:
    raise ConfigError(f"Ray Serve needs {missing.name}: pip install 'ddim-edge[serve,ray]'") from None

_KEY_VARIABLE = "DDIM_EDGE_API_KEY"
_STOP_S = 15.0
"""Seconds beyond the drain that a replica gets to stop."""
_HEALTH_PERIOD_S = 5.0


class Arguments(BaseModel):
    """The arguments of ``build``: ``models`` as ``ddim-edge serve`` takes them; ``settings``: fields of Settings."""

    model_config = ConfigDict(extra="forbid")

    models: list[str] = ["fashion-mnist"]
    settings: dict[str, Any] = {}


class Replica:
    """One process with an engine of its own: requests share network calls within it."""

    def __init__(self, models: list[str], settings: Settings) -> None:
        self._models, self._settings = models, settings
        self._engine: AsyncEngine | None = None

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The application, made here: Serve would pickle one that is made before."""
        settings = self._settings
        key = settings.api_key or os.environ.get(_KEY_VARIABLE)
        app = create_app(self._models, replace(settings, api_key=key))
        self._engine = app.state.engine
        _set_up_process(settings)
        return app

    def check_health(self) -> None:
        """Raise RuntimeError after the engine thread has failed: Serve replaces the replica."""
        if self._engine is not None and not self._engine.engine_thread.alive:
            raise RuntimeError("the engine thread has stopped after an internal error")


def build(arguments: Arguments) -> serve.Application:
    """The application of Serve. Raises ConfigError for a setting that does not exist or has an invalid value."""
    settings = settings_of(arguments.settings)
    return deployment_of(settings).bind(arguments.models, settings)


def deployment_of(settings: Settings) -> serve.Deployment:
    """The deployment; a configuration file may change each of its options.

    Serve sends a replica no more requests than its queue takes, and answers 429 where as many wait for a replica.
    """
    configured = serve.deployment(
        name="ddim-edge",
        max_ongoing_requests=settings.max_queue,
        max_queued_requests=settings.max_queue,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
        autoscaling_config=AutoscalingConfig(target_ongoing_requests=settings.max_rows),
        health_check_period_s=_HEALTH_PERIOD_S,
        graceful_shutdown_timeout_s=settings.drain_s + _STOP_S,
        max_surge_percent=100,
    )
    return configured(serve.ingress()(Replica))


def proxy_middleware() -> list[Middleware]:
    """What ``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`` names: the proxy's errors in OpenAI's format."""
    return [Middleware(ProxyErrorsMiddleware)]


def _set_up_process(settings: Settings) -> None:
    """Log as ``ddim-edge serve`` does, and let the engine thread have the interpreter sooner."""
    log_to_stderr(settings.log_prompts)
    if not settings.log_prompts:  # the warning quotes the words that were cut off
        warnings.simplefilter("ignore", TruncationWarning)
    sys.setswitchinterval(SWITCH_S)


app = build(Arguments())
