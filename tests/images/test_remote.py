"""Folders in a store: fsspec's memory here, S3's protocol (moto's server) once; bad input."""

import itertools
import os
import sys
from collections.abc import Iterator
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.registry import _registry

import ddim_edge
from ddim_edge.images.remote import RemoteFolder
from ddim_edge.images.save import RUN_FILE, ImageFolder
from ddim_edge.images.storage import without_file_scheme

RECIPE = {"model": "m", "seed": 3}
IMAGE = np.zeros((4, 4, 3), np.uint8)

_numbers = itertools.count()


@pytest.fixture
def folder() -> str:
    """The URL of an empty folder in memory."""
    return f"memory://remote-test-{next(_numbers)}/images/"


def _names(url: str) -> list[str]:
    system, root = fsspec.core.url_to_fs(url)
    return sorted(path.rpartition("/")[2] for path in system.ls(root, detail=False))


def test_a_run_in_a_store_goes_on_where_it_was(folder: str) -> None:
    images = ImageFolder(RemoteFolder(folder), RECIPE)
    images.add(2, IMAGE)
    assert images.holds(2)
    assert _names(folder) == ["000002.png", RUN_FILE]
    again = ImageFolder(RemoteFolder(folder), RECIPE)
    assert [again.holds(index) for index in range(4)] == [False, False, True, False]


def test_a_store_with_another_run_is_refused_and_left_alone(folder: str) -> None:
    ImageFolder(RemoteFolder(folder), RECIPE)
    with pytest.raises(ddim_edge.OutputError, match=f"^{folder} holds the images of another run"):
        ImageFolder(RemoteFolder(folder), {**RECIPE, "seed": 4})
    assert RemoteFolder(folder).read(RUN_FILE, 1000) == b'{\n "model": "m",\n "seed": 3,\n "format": ".png"\n}'


def test_of_two_writers_of_a_new_file_one_succeeds(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = RemoteFolder(folder), RemoteFolder(folder)
    seen = iter([False, True])  # the other writer is between the look and the put
    monkeypatch.setattr(second, "_exists", lambda _path: next(seen))
    first.write_new("a", b"first")
    with pytest.raises(FileExistsError):
        second.write_new("a", b"second")
    assert first.read("a", 100) == b"first"


def test_a_store_that_cannot_refuse_to_replace_gets_new_files(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RemoteFolder(folder)
    put = store._system.pipe_file

    def plain_put(path: str, contents: bytes, **options: Any) -> None:
        if options:
            raise OSError(38, "a header that the server does not implement")
        put(path, contents)

    monkeypatch.setattr(store._system, "pipe_file", plain_put)
    store.write_new("a", b"first")
    with pytest.raises(FileExistsError):
        store.write_new("a", b"second")
    assert store.read("a", 100) == b"first"


def test_an_error_of_the_store_is_one_line_without_passwords(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RemoteFolder(folder)

    def fail(*_arguments: Any, **_options: Any) -> None:
        raise RuntimeError("no answer from\nhttp://name:hunter2@host/")

    monkeypatch.setattr(store._system, "pipe_file", fail)
    with pytest.raises(ddim_edge.OutputError) as error:
        store.create()
    assert str(error.value) == f"cannot write to {folder}: no answer from http://host/"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host/images/", "the scheme of the URL 'ftp' is unknown. Valid: file, s3,"),
        ("s3://name:hunter2@bucket/images/", "may have a bucket and a path only"),
        ("s3://bucket/images/?secret=hunter2", "may have a bucket and a path only"),
        ("s3:///images/", "needs a bucket, as in s3://bucket/folder/"),
    ],
)
def test_a_url_that_cannot_be_used(url: str, words: str) -> None:
    with pytest.raises(ddim_edge.ConfigError) as error:
        RemoteFolder(url)
    assert words in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(("package", "command"), [("fsspec", "'fsspec>=2025.2' s3fs"), ("s3fs", "s3fs")])
def test_a_missing_package_is_named(package: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(_registry, "s3", raising=False)
    with pytest.raises(ddim_edge.ConfigError) as error:
        RemoteFolder("s3://bucket/images/")
    assert str(error.value).endswith(f"pip install {command}")


def test_a_file_url_is_a_path() -> None:
    assert without_file_scheme("file:///some/images/") == os.path.join(os.sep, "some", "images", "")
    assert without_file_scheme("images/") == "images/"
    with pytest.raises(ddim_edge.ConfigError, match="names a file of another machine"):
        without_file_scheme("file://host/images/")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket of a server with S3's protocol."""
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": f"http://{host}:{port}", "key": "k", "secret": "s"})
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("pictures")
    yield "s3://pictures"
    server.stop()


def test_s3(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it on one server: starting it takes a second."""
    folder = f"{bucket}/images/"
    ImageFolder(RemoteFolder(folder), RECIPE).add(1, IMAGE)
    assert _names(folder) == ["000001.png", RUN_FILE]
    assert ImageFolder(RemoteFolder(folder), RECIPE).holds(1)
    with pytest.raises(ddim_edge.OutputError, match="holds the images of another run"):
        ImageFolder(RemoteFolder(folder), {**RECIPE, "seed": 4})
    store = RemoteFolder(folder)
    monkeypatch.setattr(store, "_exists", lambda _path: False)  # as if the other put came a moment later
    with pytest.raises(FileExistsError):
        store.write_new(RUN_FILE, b"other")
    with pytest.raises(ddim_edge.OutputError, match="there is no such bucket"):
        ImageFolder(RemoteFolder("s3://another-bucket/images/"), RECIPE)
