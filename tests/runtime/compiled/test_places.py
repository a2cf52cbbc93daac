"""Where the cache of what was compiled lies, and what becomes of one that cannot be read."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ddim_edge.errors import ConfigError
from ddim_edge.runtime.compiled.places import bundle_cache, cached_folders, user_cache
from ddim_edge.runtime.compiled.store import find
from tests.runtime.compiled.recipes import GPU, build, recipe_of


@pytest.fixture
def graph(new_bundle: Callable[..., Path]) -> Path:
    return new_bundle(external=True) / "unet" / "model.onnx"


def test_a_cache_that_cannot_be_read_is_empty(graph: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built = build(recipe_of(graph), bundle_cache(graph.parents[1]))
    real = Path.iterdir

    def forbidden(folder: Path) -> Iterator[Path]:
        if folder.is_relative_to(tmp_path / "cache"):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr(Path, "iterdir", forbidden)
    assert cached_folders(user_cache()) == []
    assert find(graph, "tensorrt", machine=GPU).fitting == (built,)
    for unusable in (f"{tmp_path}/{'n' * 300}", str(graph)):  # a name that no file may have; a file
        monkeypatch.setenv("DDIM_EDGE_CACHE", unusable)
        assert find(graph, "tensorrt", machine=GPU).fitting == (built,)


def test_without_a_home_folder_there_is_no_cache(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("DDIM_EDGE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    built = build(recipe_of(graph), bundle_cache(graph.parents[1]))
    assert find(graph, "tensorrt", machine=GPU).fitting == (built,)
    with pytest.raises(ConfigError, match="no home folder for a cache: name a folder in DDIM_EDGE_CACHE"):
        user_cache()


def test_where_the_users_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert user_cache() == tmp_path / "cache" / "compiled"
    monkeypatch.delenv("DDIM_EDGE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert user_cache() == tmp_path / "xdg" / "ddim-edge" / "compiled"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache() == Path.home() / ".cache" / "ddim-edge" / "compiled"
