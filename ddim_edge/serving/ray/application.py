"""What Ray Serve deploys: one deployment for one model; for several, one for each behind an ingress."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from starlette.middleware import Middleware

from ...config.schema import any_of, check_json, list_of, mapping_of, text
from ...errors import ConfigError, choose_from
from ..api_keys import ApiKeys
from ..http.proxy_errors import ProxyErrorsMiddleware
from ..scheduling.catalogue import Catalogue
from ..settings import DEFAULTS, Settings
from .ingress import Ingress
from .replica import ModelReplica, Replica

NAME = "ddim-edge"
"""The name of the deployment that takes the requests."""
_STOP_S = 15.0
"""Seconds beyond the drain that a replica gets to stop."""
_HEALTH_PERIOD_S = 5.0
_NOT_IN_FILES = ("warm_up",)
"""Settings that are objects of Python."""
_PATH = text(4096)
_ARGUMENTS = {"models": any_of(_PATH, list_of(_PATH, 1000)), "settings": mapping_of(lambda _name, _value: None)}


def build(arguments: dict[str, Any]) -> serve.Application:
    """The application of Serve, from the ``args`` of a configuration file.

    ``models`` is a list as ``ddim-edge serve`` takes it, or the text of one, by default the bundled model; ``settings``
    are fields of Settings, among them ``api_keys`` as the path of the file.

    Raises ConfigError for what does not exist or has an invalid value, for two models of one name, and for several
    models without a store; BundleError for a model that is not on this machine.
    """
    for name in arguments:
        if name not in _ARGUMENTS:
            raise ConfigError(choose_from("argument", name, _ARGUMENTS))
    check_json(arguments, _ARGUMENTS, "args")
    models = arguments.get("models") or ["fashion-mnist"]
    return _application([models] if isinstance(models, str) else models, settings_of(arguments.get("settings") or {}))


def _application(models: list[str], settings: Settings) -> serve.Application:
    names = Catalogue(models).names
    if len(models) == 1:
        return deployment_of(settings).bind(models, settings)
    _check_several(names, settings)
    each = {
        name: _configured(ModelReplica, name, settings).bind([model], settings)
        for name, model in zip(names, models, strict=True)
    }
    return ingress_of(settings, len(names)).bind(models, settings, each)


def deployment_of(settings: Settings) -> serve.Deployment:
    """The deployment of one model; a configuration file may change each of its options."""
    return _configured(serve.ingress()(Replica), NAME, settings)


def ingress_of(settings: Settings, models: int) -> serve.Deployment:
    """The deployment in front of so many models: one replica, which takes what all of their queues take.

    It computes nothing, so Ray plans no core for it.
    """
    most = settings.max_queue * models
    return _configured(serve.ingress()(Ingress), NAME, settings).options(
        max_ongoing_requests=most,
        max_queued_requests=most,
        autoscaling_config=None,
        num_replicas=1,
        ray_actor_options={"num_cpus": 0},
    )


def settings_of(given: Mapping[str, Any]) -> Settings:
    """The settings of a configuration file. Raises ConfigError for an unknown one or an invalid value."""
    known = [field.name for field in fields(Settings) if field.name not in _NOT_IN_FILES]
    for name in given:
        if name not in known:
            raise ConfigError(choose_from("setting", name, known))
    if given.get("api_keys") is None:
        return Settings(**given)
    _PATH("api_keys", given["api_keys"])
    return Settings(**{**given, "api_keys": ApiKeys(Path(given["api_keys"]))})


def proxy_middleware() -> list[Middleware]:
    """What ``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`` names: the proxy's errors in OpenAI's format."""
    return [Middleware(ProxyErrorsMiddleware)]


def _configured(replica: type, name: str, settings: Settings) -> serve.Deployment:
    """A deployment of ``replica`` with our defaults.

    Serve sends a replica no more requests than its queue takes, and answers 429 where as many wait for a replica.
    """
    configured = serve.deployment(
        name=name,
        max_ongoing_requests=settings.max_queue,
        max_queued_requests=settings.max_queue,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
        autoscaling_config=AutoscalingConfig(target_ongoing_requests=settings.max_rows),
        health_check_period_s=_HEALTH_PERIOD_S,
        graceful_shutdown_timeout_s=settings.drain_s + _STOP_S,
        max_surge_percent=100,
    )
    return configured(replica)


def _check_several(names: list[str], settings: Settings) -> None:
    for name in names:
        if name == NAME or "#" in name:
            raise ConfigError(f"a model cannot be called {name!r} on Ray Serve: give it another name, NAME=FOLDER")
    if settings.store == DEFAULTS.store:
        raise ConfigError(
            "several models need a store for jobs and images with a URL: "
            "settings: {store: 'sqlite:FILE'} on one machine, or {store: 'redis://HOST'}"
        )
