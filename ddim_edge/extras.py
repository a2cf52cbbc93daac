"""The extras of this package, such as ``serve``: the command that installs what is missing of them."""

import re
from collections.abc import Collection, Iterator

from .version import package_version

_AFTER_NAME = re.compile(r"[^\w.-]")


def install_command(*extras: str, only: Collection[str] = ()) -> str:
    """The pip command for the packages of ``extras`` that are not installed; for all of them where none is missing.

    ``only``: the names of the packages that are needed of them; none means all.

    It names these packages and not ddim-edge, which is on no index: so it is right for a clone and for a wheel, whose
    file may be gone. Where ddim-edge runs from a clone without being installed, it installs the clone with its extras.
    """
    entries = dict.fromkeys(entry for extra in extras for entry in _requirements(extra))
    wanted = [entry for entry in entries if not only or _name(entry) in only]
    missing = [entry for entry in wanted if package_version(_name(entry)) is None]
    named = missing or wanted or [f".[{','.join(extras)}]"]
    return " ".join(["pip install", *(f"'{entry}'" for entry in named)])


def _name(entry: str) -> str:
    return _AFTER_NAME.split(entry, maxsplit=1)[0]


def _requirements(extra: str) -> Iterator[str]:
    """The requirements of an extra, as in pyproject.toml. None where ddim-edge runs without being installed."""
    import importlib.metadata  # here, because importing it takes longer than the rest of this package

    try:
        entries = importlib.metadata.requires("ddim-edge") or []
    except importlib.metadata.PackageNotFoundError:
        return
    for entry in entries:
        requirement, _, marker = entry.partition(";")
        if re.fullmatch(rf"extra == [\"']{extra}[\"']", marker.strip()):
            yield requirement.strip()
