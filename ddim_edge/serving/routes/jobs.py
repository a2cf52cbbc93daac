"""``/v1/jobs``: long requests that do not need an open connection."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import JSONResponse

from ..http.arrival import arrival_of
from ..http.responses import naming_ignored
from ..http.schemas import ImageBody, JobBody, errors
from ..settings import Settings
from .images import base_url
from .job_runner import JobRunner


def routes(runner: JobRunner, settings: Settings) -> APIRouter:
    """The router of ``/v1/jobs``."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
    known: dict[str, Any] = {
        "response_model": None,
        "responses": {200: {"model": JobBody}, **errors(400, 403, 404)},
    }

    @router.post(
        "",
        status_code=202,
        summary="Make images without an open connection",
        response_model=None,
        responses={202: {"model": JobBody}, **errors(400, 403, 404, 413, 429, 503)},
    )
    async def create(body: ImageBody, http: Request) -> Response:
        job = await runner.add(body, arrival_of(http, settings), base_url(http), http.state.request_id)
        http.state.prompt = body.prompt
        location = f"{http.scope.get('root_path', '')}/v1/jobs/{job.order.id}"
        return naming_ignored(JSONResponse(job.describe(), 202, {"Location": location}), body)

    @router.get("/{job_id}", summary="A job's progress and result", **known)
    async def read(job_id: str, preview: Annotated[bool, Query()] = False) -> Response:
        body = (await runner.get(job_id)).describe()
        if preview and job_id in runner.running:
            body["previews"] = await runner.running[job_id].previews()
        return JSONResponse(body)

    @router.delete("/{job_id}", summary="Cancel a running job; delete an ended one", **known)
    async def delete(job_id: str) -> Response:
        return JSONResponse((await runner.remove(job_id)).describe())

    return router
