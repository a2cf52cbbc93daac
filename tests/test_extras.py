"""The command that installs what is missing of an extra. It must work wherever ddim-edge came from."""

import importlib.metadata
import tomllib
from pathlib import Path

import pytest

from ddim_edge import extras
from ddim_edge.extras import install_command

_PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_it_names_the_packages_of_pyproject() -> None:
    (redis,) = _PROJECT["optional-dependencies"]["redis"]
    assert install_command("redis") == f"pip install '{redis}'"


def test_it_names_only_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "package_version", lambda name: None if name in ("h11", "redis") else "1")
    assert install_command("serve", "redis") == "pip install 'h11>=0.14' 'redis>=5.1'"


def test_a_clone_that_is_not_installed_is_installed_with_its_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    assert install_command("serve", "redis") == "pip install '.[serve,redis]'"
