"""The deployment in front of several models: it sends each request to the deployment of its model."""

import json
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle
from starlette.datastructures import Headers
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..errors import Overloaded, QueueFull, RequestError
from ..http.forms import is_form, read_form
from ..http.proxy_errors import ProxyErrorsMiddleware
from ..scheduling.catalogue import Catalogue
from ..settings import Settings
from .replica import Replica

_PATHS = {
    "/v1/images/generations": "POST",
    "/v1/images/edits": "POST",
    "/v1/images/variations": "POST",
    "/v1/jobs": "POST",
    **{f"/v2/models/{{model}}{version}/ready": "GET" for version in ("", "/versions/1")},
    **{f"/v2/models/{{model}}{version}/infer": "POST" for version in ("", "/versions/1")},
}
"""What a model's own deployment answers. The ingress answers the rest: images and jobs are in the store."""
_PASSED_ON = ("type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path",
              "client", "server")  # fmt: skip
_NOT_PASSED_ON = (b"idempotency-key", b"origin", b"x-request-id")
"""Headers that the ingress has answered to."""
_MOST_FILES = 2


class Ingress(Replica):
    """The plain server, which loads no model: it checks requests, and has those for a model answered elsewhere."""

    def __init__(self, models: list[str], settings: Settings, deployments: dict[str, DeploymentHandle[Any]]) -> None:
        jobs_stay = settings.store.startswith("sqlite:")  # with the process that has accepted them
        super().__init__(models, replace(settings, preload=False, make_jobs=jobs_stay))
        self._deployments = deployments

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The application, with routes to the models' deployments before its own."""
        app = super().__serve_build_asgi_app__()
        for path, method in _PATHS.items():
            forward = Forward(path, app.state.engine.catalogue, self._deployments)
            app.router.routes.insert(0, Route(path, ProxyErrorsMiddleware(forward), methods=[method]))
        return app


class Forward:
    """An ASGI application for one route: the deployment of the request's model answers."""

    def __init__(self, path: str, catalogue: Catalogue, deployments: dict[str, DeploymentHandle[Any]]) -> None:
        self.path, self._catalogue, self._deployments = path, catalogue, deployments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its response back. Raises NotFound, QueueFull or Overloaded."""
        scope["route"] = self  # the access log's metrics take its path
        http = Request(scope, receive)
        body = await http.body()
        name = self._catalogue.find(http.path_params.get("model") or await _model_in(http)).name
        response: Any = self._deployments[name].options(stream=True).answer.remote(_passed_on(scope), body)
        try:
            async for message in response:
                await send(message)
        except BackPressureError:
            raise QueueFull(f"too many requests are waiting for {name}: try again later") from None
        except DeploymentUnavailableError:
            raise Overloaded(f"no replica of {name} can be started: see the log of Ray Serve") from None
        except RayActorError:  # without an end, ProxyErrorsMiddleware says that the replica was lost
            return
        finally:
            response.cancel()


async def _model_in(http: Request) -> str | None:
    """The field ``model`` of the body; None for a body that is wrong: a model's own deployment says in what."""
    try:
        if is_form(http.headers):
            form = await read_form(http, _MOST_FILES)
            values: Any = {name.removesuffix("[]"): value for name, value in form.multi_items()}
        else:
            values = json.loads(await http.body())
    except (RequestError, ValueError, RecursionError):
        return None
    model = values.get("model") if isinstance(values, dict) else None
    return model if isinstance(model, str) else None


def _passed_on(scope: Scope) -> Scope:
    """What of ``scope`` can be pickled, with this request's id, without headers that the ingress has answered to."""
    headers = [(name, value) for name, value in Headers(scope=scope).raw if name not in _NOT_PASSED_ON]
    headers.append((b"x-request-id", scope["state"]["request_id"].encode()))
    return {**{name: scope[name] for name in _PASSED_ON if name in scope}, "headers": headers}
