"""Multipart forms, read into memory."""

from fastapi import Request
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from ..errors import BadRequest

_MAX_FIELDS = 64


class _InMemoryParser(MultiPartParser):
    """Writes no temporary files: the size of a form is limited, and the disk may be full."""

    spool_max_size = max_file_size = 0  # 0: no file becomes one on the disk; the second is older Starlette's name


def is_form(headers: Headers) -> bool:
    """Whether the body is a multipart form."""
    return headers.get("content-type", "").strip().lower().startswith("multipart/form-data")


async def read_form(http: Request, max_files: int) -> FormData:
    """The fields and files of a form. Raises BadRequest for another kind of body, and for a malformed one."""
    if not is_form(http.headers):
        raise BadRequest("image: send the picture as a file of a multipart form", param="image")
    parser = _InMemoryParser(Headers(raw=http.headers.raw), http.stream(), max_files=max_files, max_fields=_MAX_FIELDS)
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise BadRequest(f"the body: {error.message}") from None
