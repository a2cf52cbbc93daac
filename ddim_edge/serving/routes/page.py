"""``/``: the web page. Its sources are put into one file, which loads nothing else."""

import base64
import hashlib
import re
from collections.abc import Callable
from importlib import resources
from typing import NamedTuple

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

_SOURCES = resources.files(__package__) / "page_source"
_INCLUDES = {
    "style": re.compile(r'<link rel="stylesheet" href="([\w.]+)">'),
    "script": re.compile(r'<script src="([\w.]+)"></script>'),
}


class WholePage(NamedTuple):
    """A page in one file, and its Content-Security-Policy: only its own scripts and styles run, by their hashes."""

    html: str
    csp: str


def page_of(name: str) -> WholePage:
    """A page of ``page_source``."""
    return whole_page((_SOURCES / name).read_text("utf-8"))


def whole_page(html: str) -> WholePage:
    """The page with its style sheets and scripts, which are files of ``page_source``, written into it."""
    hashes: dict[str, list[str]] = {"style": [], "script": []}

    def include(tag: str) -> Callable[[re.Match[str]], str]:
        def contents(found: re.Match[str]) -> str:
            text = "\n" + (_SOURCES / found[1]).read_text("utf-8")
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            hashes[tag].append(f"'sha256-{digest}'")
            return f"<{tag}>{text}</{tag}>"

        return contents

    for tag, pattern in _INCLUDES.items():
        html = pattern.sub(include(tag), html)
    return WholePage(html, _csp(**{tag: " ".join(found) or "'none'" for tag, found in hashes.items()}))


def _csp(style: str, script: str) -> str:
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def page_response(page: WholePage) -> Response:
    """The response that a browser gets."""
    return HTMLResponse(page.html, headers={"Content-Security-Policy": page.csp})


def routes() -> APIRouter:
    """The router of ``/``."""
    router = APIRouter(include_in_schema=False)
    page = page_of("page.html")

    @router.get("/")
    def read() -> Response:
        return page_response(page)

    return router
