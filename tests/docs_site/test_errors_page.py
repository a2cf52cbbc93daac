"""docs/errors.md has every class of errors, as the program has it."""

import importlib
import re
from collections.abc import Iterator

import pytest

import ddim_edge.errors
from ddim_edge.errors import DdimEdgeError
from ddim_edge.serving.errors import QueueFull, RequestError
from ddim_edge.serving.http.error_responses import request_error_of
from tests.helpers.documents import ROOT

TEXT = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells
    for line in re.findall(r"^\| (`[A-Z]\w+` \| .*) \|$", TEXT, re.MULTILINE)
    if (cells := [cell.strip() for cell in line.split("|")])
}
SOURCES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "ddim_edge" / "serving").rglob("*.py")}
_CLASS = re.compile(r"^class (\w+)\((\w+)\)", re.MULTILINE)


def _table(title: str) -> dict[str, str]:
    """What stands before each code in the table of this title."""
    lines = TEXT.partition(f"| `{title}` | `code` |\n| --- | --- |\n")[2].partition("\n\n")[0].splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines]
    return {code: first for first, codes in cells for code in codes.split(", ")}


def _kinds(base: type[DdimEdgeError]) -> Iterator[type[DdimEdgeError]]:
    yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)


def _of_the_library() -> list[type[DdimEdgeError]]:
    return [kind for kind in _kinds(DdimEdgeError) if kind.__module__ == ddim_edge.errors.__name__]


def _of_the_server() -> list[type[RequestError]]:
    """The classes of all modules, whether or not the server that tests start imports them."""
    names = {"RequestError"}
    for _ in range(3):  # classes of classes of classes
        for path, text in SOURCES.items():
            if found := {name for name, base in _CLASS.findall(text) if base in names}:
                importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
                names |= found
    return [kind for kind in _kinds(RequestError) if kind is not RequestError and issubclass(kind, RequestError)]


@pytest.mark.parametrize("kind", _of_the_library(), ids=lambda kind: kind.__name__)
def test_an_error_of_the_library_has_its_exit_code_and_status(kind: type[DdimEdgeError]) -> None:
    _, exit_code, status, when, remedy = ROWS[kind.__name__]
    assert (exit_code, status) == (str(kind.exit_code), str(request_error_of(kind("x")).status))
    assert len(when) > 10
    assert len(remedy) > 10
    assert hasattr(ddim_edge, kind.__name__)


@pytest.mark.parametrize("kind", _of_the_server(), ids=lambda kind: kind.__name__)
def test_an_error_of_the_server_has_its_status_and_words(kind: type[RequestError]) -> None:
    _, status, code, when, remedy = ROWS[kind.__name__]
    assert (status, code) == (str(kind.status), f"`{kind.code}`")
    assert _table("type")[code] == f"`{kind.kind}`"
    computed = "by the length of the queue" if issubclass(kind, QueueFull) else None
    assert _table("Retry-After").get(code) == (computed or (str(kind.retry_after) if kind.retry_after else None))
    assert when
    assert remedy


def test_there_are_no_others() -> None:
    assert set(ROWS) == {kind.__name__ for kind in [*_of_the_library(), *_of_the_server()]}
    assert len(ROWS) > 30


def test_every_code_that_an_error_is_given_is_named() -> None:
    given = re.compile(r"""\bcode"?[=:] ?"(\w+)"|^UNKNOWN_OPTION = "(\w+)\"""", re.MULTILINE)
    codes = {first or second for text in SOURCES.values() for first, second in given.findall(text)}
    assert {"job_lost", "model_not_found", "unknown_parameter"} <= codes
    assert [code for code in codes if f"`{code}`" not in TEXT] == []
