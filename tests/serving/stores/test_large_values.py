"""Large images and results in a folder or bucket: found through any server, refused where it cannot be used."""

import asyncio
import itertools
from pathlib import Path

import pytest
import redis
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ddim_edge.errors import OutputError
from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.errors import StoreFailed
from ddim_edge.serving.stores.large_values import LARGE_BYTES, LargeValues
from tests.helpers.command_line import Invoke
from tests.serving.live import wait_until

CAT = {"prompt": "cat", "num_inference_steps": 2, "seed": 1}
_numbers = itertools.count()


@pytest.fixture(params=["path", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty folder as a path, as a URL, and in a store."""
    urls = {"path": str(tmp_path), "file": f"{tmp_path.as_uri()}/", "memory": f"memory://large-{next(_numbers)}/a/"}
    url: str = urls[request.param]
    return url


def test_large_values_are_files_and_small_ones_are_not(folder: str) -> None:
    asyncio.run(_put_and_get(folder))


async def _put_and_get(folder: str) -> None:
    one, other, none = LargeValues(folder), LargeValues(folder), LargeValues()
    small, large = b"s" * (LARGE_BYTES - 1), b"l" * LARGE_BYTES
    assert await one.put("small.png", small) == await other.get(small) == await none.put("a", small) == small
    address = await one.put("large.png", large)
    assert address.endswith(b"/large.png")
    assert len(address) < 300
    assert await other.get(address) == large
    assert await other.get(address + b"-deleted") is None
    assert await other.get(None) is None
    with pytest.raises(StoreFailed, match="--store-images"):
        await none.get(address)
    with pytest.raises(StoreFailed, match="--store-images"):
        await one.get(b"@/etc/passwd")


def test_a_folder_that_fails_later_is_an_error_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = LargeValues(str(tmp_path))

    def fail(*_: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr(large._folder, "write", fail)
    with pytest.raises(StoreFailed, match="try again later"):
        asyncio.run(large.put("a.png", b"l" * LARGE_BYTES))


@pytest.fixture
def apps(tiny_bundle: Path, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[FastAPI]:
    """Two servers that put all images and results into one folder."""
    monkeypatch.setattr("ddim_edge.serving.stores.large_values.LARGE_BYTES", 1)
    settings = Settings(store=redis_url, store_images=tmp_path.as_uri())
    return [create_app({"tiny": tiny_bundle}, settings) for _ in range(2)]


def test_an_image_and_a_job_are_found_through_another_server(
    apps: list[FastAPI], redis_url: str, tmp_path: Path
) -> None:
    with TestClient(apps[0]) as one, TestClient(apps[1]) as other, redis.Redis.from_url(redis_url) as client:
        made = one.post("/v1/images/generations", json={**CAT, "response_format": "url"}).json()["data"][0]["url"]
        name = made.rpartition("/")[2]
        assert client.get(f"ddim-edge:image:{name}") == f"@{tmp_path}/{name}".encode()
        assert other.get(made).content == (tmp_path / name).read_bytes()
        job = one.post("/v1/jobs", json=CAT).headers["Location"]
        wait_until(lambda: other.get(job).json()["status"] == "done")
        assert other.get(job).json()["result"]["data"][0]["b64_json"]
        (tmp_path / name).unlink()
        assert other.get(made).status_code == 404
        (result,) = tmp_path.glob("job-*.json")
        result.unlink()
        assert other.get(job).status_code == 404


def test_a_folder_that_cannot_be_used_is_refused_before_a_model_is_opened(
    redis_url: str, tmp_path: Path, invoke: Invoke
) -> None:
    for command in ("serve", "worker"):
        for folder, part in (
            ("s3://name:hunter2@bucket/images/", "may have a bucket"),
            ("ftp://host/images/", "'ftp' is unknown"),
            ("gs://bucket/images/", "pip install gcsfs"),
            ("nowhere/", "nowhere"),
            ("file://host/images/", "another machine"),
        ):
            outcome = invoke(command, "no-such-model", "--store", redis_url, "--store-images", folder)
            assert outcome.failed_with("--store-images", part)
            assert "hunter2" not in outcome.err
    assert invoke("serve", "no-such-model", "--store-images", tmp_path).failed_with("--store-images", "redis://")
