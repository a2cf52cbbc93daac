"""The FastAPI application: all routes and middleware around one AsyncEngine."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.cors import CORSMiddleware

from ..version import __version__
from .http import error_responses
from .http.access_log import AccessLogMiddleware
from .http.bodies import BodyLimitMiddleware
from .http.head import HeadMiddleware
from .http.idempotency import IdempotencyMiddleware
from .http.security import SecurityMiddleware, needs_key
from .http.uploads import Decoders
from .routes import edits, generations, health, images, jobs, kserve, page, reference
from .routes.job_runner import JobRunner
from .scheduling.async_engine import AsyncEngine
from .scheduling.catalogue import Models
from .scheduling.engine_thread import Clock
from .settings import DEFAULTS, Settings
from .stores.answers import AnswerStore
from .stores.opening import open_stores


def create_app(
    models: Models = ("fashion-mnist",), settings: Settings = DEFAULTS, *, clock: Clock = time.monotonic
) -> FastAPI:
    """An ASGI application that serves ``models``: bundled names, folders, NAME=FOLDER; or a mapping name to folder.

    ``app.state.engine`` is its AsyncEngine. Raises BundleError, ProviderError or ConfigError if a model cannot be
    served.
    """
    stores = open_stores(settings, clock)
    engine = AsyncEngine(models, settings, clock=clock)
    app = FastAPI(title="ddim-edge", version=__version__, docs_url=None, redoc_url=None, lifespan=_lifespan)
    app.state.engine = engine
    app.state.decoders = decoders = Decoders(settings.max_pixels, engine.engine_thread.check_open)
    app.state.jobs = runner = JobRunner(engine, stores)
    routers = (
        generations.routes(engine, stores.images, started=int(time.time())),
        edits.routes(engine, stores.images, decoders),
        jobs.routes(runner, settings),
        images.routes(stores.images),
        health.routes(engine),
        kserve.routes(engine),
        page.routes(),
        reference.routes(),
    )
    for router in routers:
        app.include_router(router)
    error_responses.install(app, [route for router in routers for route in router.routes])
    _add_middleware(app, engine, stores.answers)
    app.openapi = lambda: _openapi_document(app, settings)  # type: ignore[method-assign]
    return app


def _add_middleware(app: FastAPI, engine: AsyncEngine, answers: AnswerStore) -> None:
    """The one that is added last sees a request first."""
    settings = engine.settings
    app.add_middleware(HeadMiddleware)
    app.add_middleware(IdempotencyMiddleware, settings=settings, answers=answers)
    app.add_middleware(BodyLimitMiddleware, settings=settings)
    app.add_middleware(SecurityMiddleware, settings=settings)
    if settings.cors_origins:
        headers = ["Authorization", "Content-Type", "X-Request-Id", "Idempotency-Key"]
        methods = ["GET", "POST", "DELETE"]
        origins = list(settings.cors_origins)
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=methods, allow_headers=headers)
    app.add_middleware(AccessLogMiddleware, engine=engine)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with app.state.jobs, app.state.engine:
        try:
            yield
        finally:
            app.state.decoders.close()


def _openapi_document(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """FastAPI's OpenAPI document without its 422 (this server sends 400), and with the API key where one is needed."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        for path, item in document["paths"].items():
            for operation in item.values():
                operation["responses"].pop("422", None)
                if settings.needs_key and needs_key(path):
                    operation["security"] = [{"key": []}]
                    operation["responses"]["401"] = operation["responses"]["403"] | {"description": "Unauthorized"}
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        if settings.needs_key:
            document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        app.openapi_schema = document
    return app.openapi_schema
