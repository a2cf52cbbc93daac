"""``/v1/jobs``: long requests that do not need an open connection."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import JSONResponse

from ..http.arrival import arrival_of
from ..http.image_response import submit_body
from ..http.schemas import ImageBody, JobBody, errors
from ..scheduling.async_engine import AsyncEngine
from ..scheduling.engine_thread import Clock
from .images import ImageStore, publisher
from .job_store import JobStore


def routes(engine: AsyncEngine, images: ImageStore, clock: Clock) -> APIRouter:
    """The router of ``/v1/jobs``."""
    settings = engine.settings
    store = JobStore(settings.keep_s, settings.keep_jobs, settings.keep_bytes, clock, engine.metrics)
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
    known: dict[str, Any] = {
        "response_model": None,
        "responses": {200: {"model": JobBody}, **errors(400, 403, 404)},
    }

    @router.post(
        "",
        status_code=202,
        response_model=None,
        responses={202: {"model": JobBody}, **errors(400, 403, 404, 413, 429, 503)},
    )
    async def create(body: ImageBody, http: Request) -> Response:
        arrival, publish = arrival_of(http, settings), publisher(images, http)
        response = submit_body(engine, body, publish, arrival, longest_s=settings.job_timeout_s)
        job = store.add(response, http.state.request_id)
        http.state.prompt = body.prompt
        location = f"{http.scope.get('root_path', '')}/v1/jobs/{job.id}"
        return JSONResponse(job.describe(), 202, {"Location": location})

    @router.get("/{job_id}", **known)
    async def read(job_id: str, preview: Annotated[bool, Query()] = False) -> Response:
        job = store.get(job_id)
        body = job.describe()
        if preview and job.ended is None:
            body["previews"] = await job.previews()
        return JSONResponse(body)

    @router.delete("/{job_id}", summary="Cancel a running job; delete an ended one", **known)
    async def delete(job_id: str) -> Response:
        return JSONResponse((await store.remove(job_id)).describe())

    return router
