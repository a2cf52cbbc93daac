"""``/``: the web page, one self-contained HTML file."""

from importlib import resources

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from ..errors import NotFound

CSP = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def routes() -> APIRouter:
    """The router of ``/``; its route raises NotFound if the file is missing."""
    router = APIRouter(include_in_schema=False)
    file = resources.files(__package__) / "page.html"

    @router.get("/")
    def page() -> Response:
        if not file.is_file():
            raise NotFound("this installation has no page; the API is under /v1")
        return HTMLResponse(file.read_bytes(), headers={"Content-Security-Policy": CSP})

    return router
