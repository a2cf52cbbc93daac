"""Paths of requests, without the prefix at which the application is mounted."""

from starlette.types import Scope


def route_path(scope: Scope) -> str:
    """The request's path without the prefix at which the application is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def is_kserve(scope: Scope) -> bool:
    """Whether the path is one of KServe's V2 protocol, whose bodies and errors have a form of their own."""
    path = route_path(scope)
    return path == "/v2" or path.startswith("/v2/")
