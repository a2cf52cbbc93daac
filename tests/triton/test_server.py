"""A real Triton Inference Server streams the images of a repository.

``make test-triton`` makes the server's environment; without it there is nothing to ask.
"""

import contextlib
import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

import ddim_edge
from ddim_edge.bundle.read import open_bundle
from ddim_edge.triton.repository import write_repository
from tests.serving.live import wait_until
from tests.triton.server import PYTHON, Server, Stream, is_last, triton_server

pytestmark = [
    pytest.mark.triton,
    pytest.mark.skipif(not PYTHON, reason="DDIM_EDGE_TRITON_PYTHON names no interpreter: use `make test-triton`"),
]

MODEL = "fashion-mnist"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    work = tmp_path_factory.mktemp("triton")
    write_repository(open_bundle(MODEL), work / "repository")
    with (work / "repository" / MODEL / "config.pbtxt").open("a", encoding="utf-8") as file:
        file.write('parameters { key: "max_rows" value { string_value: "2" } }\n')
    with triton_server(work / "repository", work, "--disable-auto-complete-config") as running:
        yield running


@contextlib.contextmanager
def _stream(server: Server) -> Iterator[Stream]:
    stream = Stream(server)
    try:
        yield stream
    finally:
        stream.close(cancel=True)


def test_it_streams_the_image_of_generate(server: Server) -> None:
    with _stream(server) as stream:
        stream.ask(MODEL, prompt="bag", seed=7, num_inference_steps=10, guidance_scale=1.5, partial_images=2)
        responses = list(stream.responses())
    assert [bool(each.as_numpy("final")[0]) for each in responses] == [False, False, True]
    expected = ddim_edge.load(MODEL, provider="cpu").generate(labels=["bag"], seed=7, num_steps=10, guidance_scale=1.5)
    image = responses[-1].as_numpy("image")
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, expected.images[0])
    recipe = json.loads(responses[-1].as_numpy("recipe").tobytes())
    assert recipe == {**expected.recipe, "batch_size": 1, "index": 0}


def test_concurrent_requests_are_stepped_together(server: Server) -> None:
    """The short one, which comes later, ends first; and Triton's log has no complaint about a tensor."""
    with _stream(server) as stream:
        stream.ask(MODEL, "long", prompt="bag", num_inference_steps=150, partial_images=1)
        assert not stream.next().as_numpy("final")[0]
        stream.ask(MODEL, "short", prompt="coat", num_inference_steps=2)
        ended: list[str] = []
        while len(ended) < 2:
            response = stream.next()
            if is_last(response):
                ended.append(response.get_response().id)
    assert ended == ["short", "long"]
    assert "PyCapsule" not in server.log.read_text(errors="replace")


def test_a_bad_request_gets_an_error_and_the_server_lives(server: Server) -> None:
    with _stream(server) as stream:
        stream.ask(MODEL, prompt="bagg")
        with pytest.raises(InferenceServerException, match="Did you mean 'bag'"):
            stream.next()
        stream.ask(MODEL, prompt="bag", num_inference_steps=1)
        assert len(list(stream.responses())) == 1


def test_a_cancelled_request_stops(server: Server) -> None:
    with _stream(server) as stream:
        stream.ask(MODEL, prompt="bag", n=10, num_inference_steps=1000, partial_images=3, guidance_scale=2.0)
        stream.next()
        begun = server.cpu_ticks()
    assert begun > 0
    wait_until(lambda: _stands_still(server))


def _stands_still(server: Server) -> bool:
    before = server.cpu_ticks()
    time.sleep(0.5)
    return server.cpu_ticks() == before


def test_the_generate_endpoint_takes_plain_json(server: Server) -> None:
    address = f"http://127.0.0.1:{server.http_port}/v2/models/{MODEL}/generate_stream"
    body = json.dumps({"prompt": "bag", "seed": 7, "num_inference_steps": 3, "partial_images": 1}).encode()
    with urllib.request.urlopen(urllib.request.Request(address, body), timeout=60) as response:
        events = [json.loads(data) for data in re.findall(r"data: (.+)", response.read().decode())]
    assert [event["final"] for event in events] == [False, True]
    expected = ddim_edge.load(MODEL, provider="cpu").generate(labels=["bag"], seed=7, num_steps=3)
    assert events[-1]["image"] == expected.images[0].ravel().tolist()


def test_a_broken_bundle_says_why(tmp_path: Path) -> None:
    write_repository(open_bundle(MODEL), tmp_path / "repository")
    (tmp_path / "repository" / MODEL / "1" / "bundle" / "unet" / "model.onnx").unlink()
    with (
        pytest.raises(AssertionError, match=r"has no unet/model\.onnx"),
        triton_server(tmp_path / "repository", tmp_path),
    ):
        pytest.fail("it serves a broken bundle")
