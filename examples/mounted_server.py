"""``create_app`` mounted in another FastAPI application, and a request to it. Needs the extra ``serve``."""

import base64
import contextlib
import json
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from ddim_edge.serving import Settings, create_app

images = create_app(["fashion-mnist"], Settings(provider="cpu", max_rows=8))


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """A mounted application gets no start and no stop event, so the outer one closes the engine."""
    async with images.state.engine:
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/images", images)  # the API is at /images/v1/images/generations


def request_image(url: str) -> bytes:
    """Ask for one image; returns the contents of its PNG file."""
    body = json.dumps({"prompt": "sneaker", "seed": 1}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/images/v1/images/generations", body, headers)
    with urllib.request.urlopen(request) as response:
        return base64.b64decode(json.load(response)["data"][0]["b64_json"])


def main(out: str = "mounted_server.png") -> None:
    """One request, then the end. To serve until Ctrl-C: ``uvicorn.run(app, port=8000)``."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]  # 0 was replaced by a free one
    try:
        Path(out).write_bytes(request_image(f"http://127.0.0.1:{port}"))
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:2])
