"""Uploads are decoded in processes of their own: bounded, killable, and the request's fault or not."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from ddim_edge.images.uploads import decode_upload
from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.errors import BadRequest, DeadlinePassed, Draining, OutOfMemory, RequestError
from ddim_edge.serving.http.decoder_process import DecoderProcess
from ddim_edge.serving.http.forms import read_form
from ddim_edge.serving.http.uploads import Decoders
from ddim_edge.serving.routes import edits
from tests.helpers.pictures import many_scans

SHAPE = (3, 16, 8)


def picture(size: tuple[int, int] = (40, 30), mode: str = "RGBA") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    pool = Decoders(10_000_000, lambda: None)
    yield pool
    pool.close()


def decode(pool: Decoders, image: bytes, mask: bytes | None = None, seconds: float = 60) -> Any:
    return asyncio.run(pool.decode(image, mask, SHAPE, seconds))


def test_what_comes_back_is_what_this_process_would_have_decoded(decoders: Decoders) -> None:
    image, mask = picture(), picture()
    found, wanted = decode(decoders, image, mask), decode_upload(image, mask, SHAPE, 10_000_000)
    np.testing.assert_array_equal(found.image, wanted.image.astype(np.float32).transpose(2, 0, 1)[None] / 127.5 - 1)
    assert wanted.mask is not None
    np.testing.assert_array_equal(found.mask[0, 0], wanted.mask)
    assert decode(decoders, image).mask is None


def the_process(pool: Decoders) -> subprocess.Popen[bytes]:
    """The process of a pool that decodes one upload at a time."""
    decode(pool, picture())
    (process,) = pool._all
    return process._process


def test_a_process_is_kept_and_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDIM_EDGE_API_KEY", "secret")
    pool = Decoders(10_000_000, lambda: None)
    process = the_process(pool)
    with pytest.raises(BadRequest, match="not a picture"):
        decode(pool, b"GIF89a")
    assert the_process(pool) is process
    environment = Path(f"/proc/{process.pid}/environ")
    if environment.exists():
        assert b"DDIM_EDGE_" not in environment.read_bytes()
        assert os.getpriority(os.PRIO_PROCESS, process.pid) > os.getpriority(os.PRIO_PROCESS, 0)
    pool.close()
    assert process.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGKILL, OutOfMemory), (signal.SIGPROF, BadRequest), (signal.SIGSEGV, BadRequest)]
)
def test_a_process_that_was_killed_fails_its_upload_alone(
    decoders: Decoders, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[RequestError]
) -> None:
    process = the_process(decoders)
    os.kill(process.pid, signal.SIGSTOP)  # so that it does not respond before it is killed
    send = DecoderProcess._send

    def send_and_kill(*arguments: Any) -> None:
        send(*arguments)
        os.kill(process.pid, number)
        os.kill(process.pid, signal.SIGCONT)

    with monkeypatch.context() as patch:
        patch.setattr(DecoderProcess, "_send", send_and_kill)
        with pytest.raises(kind):
            decode(decoders, picture())
    assert the_process(decoders) is not process


def test_one_that_hangs_is_killed_at_the_deadline(decoders: Decoders) -> None:
    process = the_process(decoders)
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(DeadlinePassed):
        decode(decoders, picture(), seconds=0.05)
    assert process.wait(10) == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only there is the memory limited")
def test_memory_is_bounded(decoders: Decoders) -> None:
    import resource

    process = the_process(decoders)
    limit, _ = resource.prlimit(process.pid, resource.RLIMIT_AS)
    assert 0 < limit < 2**31
    resource.prlimit(process.pid, resource.RLIMIT_AS, (0, 0))
    large = io.BytesIO()
    Image.new("RGBA", (3000, 3000)).save(large, "PNG")
    with pytest.raises(OutOfMemory):
        decode(decoders, large.getvalue())


def test_draining_it_starts_nothing() -> None:
    def refuse() -> None:
        raise Draining("the server is shutting down")

    pool = Decoders(100, refuse)
    with pytest.raises(Draining):
        decode(pool, picture())
    assert pool._all == []


def test_closed_in_the_middle_of_an_upload_it_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, begun = Decoders(10_000_000, lambda: None), threading.Event()
    monkeypatch.setattr(DecoderProcess, "_send", lambda *_: begun.set())

    async def scenario() -> None:
        decoding = asyncio.ensure_future(pool.decode(picture(), None, SHAPE, 60))
        await asyncio.to_thread(begun.wait)
        (process,) = pool._all
        pool.close()
        with pytest.raises(DeadlinePassed):
            await decoding
        assert process._process.wait(10) == -signal.SIGKILL

    asyncio.run(scenario())


def test_a_place_is_taken_before_a_picture_is_decoded(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []

    async def count(_self: Decoders, image: bytes, *_: object) -> Any:
        decoded.append(len(image))
        raise BadRequest("counted")

    monkeypatch.setattr(Decoders, "decode", count)
    app = create_app({"tiny": tiny_bundle}, Settings(max_queue=1))
    files = {"image": picture()}
    with TestClient(app) as client, app.state.engine.take_place():
        answer = client.post("/v1/images/variations", files=files)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "queue_full")
    assert decoded == []
    with TestClient(create_app({"tiny": tiny_bundle}, Settings(max_per_client=2))) as client:
        for _ in range(3):  # each place is given up
            assert client.post("/v1/images/variations", files=files).status_code == 400
    assert len(decoded) == 3


def test_the_deadline_counts_from_arrival(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, left = [0.0], list[float]()

    async def decode_slowly(_self: Decoders, _image: bytes, _mask: object, _shape: object, seconds: float) -> Any:
        left.append(seconds)
        raise DeadlinePassed("late")

    async def read(http: Any, **_: Any) -> Any:
        now[0] += 20  # the upload took so long
        return await read_form(http, **_)

    monkeypatch.setattr(edits, "read_form", read)
    monkeypatch.setattr(Decoders, "decode", decode_slowly)
    app = create_app({"tiny": tiny_bundle}, Settings(timeout_s=50), clock=lambda: now[0])
    with TestClient(app) as client:
        assert client.post("/v1/images/edits", files={"image": picture()}).status_code == 504
    assert left == [30.0]


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded(tiny_bundle: Path) -> None:
    with TestClient(create_app({"tiny": tiny_bundle})) as client:
        answer = client.post("/v1/images/variations", files={"image": many_scans(14_000, 4000)})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "image")
    assert "more than 100 scans" in answer.json()["error"]["message"]
