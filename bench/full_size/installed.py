"""What a program's packages take on the disk: the packages that a user names, and all that these need."""

import functools
import re
import sysconfig
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

from ..results import ROOT
from .measure import Record
from .sides import Side


def size(side: Side, work: Path) -> Record:
    """Megabytes in site-packages, and the version of the package that a user names."""
    if side.environment:
        folders = list((work / "envs" / side.environment).glob("lib/python*/site-packages"))
    else:
        folders = [Path(sysconfig.get_path("purelib"))]
    there = _by_name(str(folders[0]))
    needed = set[str]()
    for text in side.packages:
        needed |= set(_closure(Requirement(text), there, set()))
    total = sum(_megabytes(there[name]) for name in needed)
    return {"site_packages_mb": round(total), "versions": {name: there[name].version for name in _named(side, there)}}


def _named(side: Side, there: dict[str, Distribution]) -> list[str]:
    names = (_normal(Requirement(text).name) for text in side.packages)
    return [name for name in names if name in there]


@functools.cache
def _by_name(folder: str) -> dict[str, Distribution]:
    return {_normal(each.metadata["Name"]): each for each in distributions(path=[folder])}


def _closure(requirement: Requirement, there: dict[str, Distribution], seen: set[str]) -> Iterator[str]:
    """The installed packages that a requirement leads to, itself first."""
    name = _normal(requirement.name)
    if name not in there or name in seen:
        return
    seen.add(name)
    yield name
    for text in there[name].requires or []:
        other = Requirement(text)
        extras = requirement.extras or {""}
        if other.marker is None or any(other.marker.evaluate({"extra": extra}) for extra in extras):
            yield from _closure(other, there, seen)


@functools.cache
def _megabytes_of(name: str, folder: str) -> float:
    files = _by_name(folder)[name].files or []
    return sum(_bytes(Path(folder) / file) for file in files) / 1e6


def _megabytes(distribution: Distribution) -> float:
    """An editable installation counts as its own source folder."""
    name, folder = _normal(distribution.metadata["Name"]), str(distribution.locate_file(""))
    if name == "ddim-edge" and Path(folder) == Path(sysconfig.get_path("purelib")):
        return (
            sum(_bytes(path) for part in ("ddim_edge", "export", "models") for path in (ROOT / part).rglob("*")) / 1e6
        )
    return _megabytes_of(name, folder)


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
