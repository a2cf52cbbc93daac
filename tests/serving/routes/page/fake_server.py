"""A browser and a server for the page: Debian's Chromium, and a fake that does what a prompt tells it to."""

import base64
import io
import json
import queue
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

from ddim_edge.serving.routes.page import page_of

CHROMIUM = shutil.which("chromium")
_PAGE = page_of("page.html")

LABELS = ["sneaker", "tench, Tinca tinca", "hangs", "breaks", "refused", "full", "cut off"]
"""What the fake does at the first two is make an image; at the others, what the name says."""

_MODELS: list[dict[str, Any]] = [
    {
        "id": "small",
        "labels": LABELS,
        "samplers": ["ddim", "pndm"],
        "caches": ["forecast", "deep"],
        "guidance": True,
        "size": [28, 28],
    },
    {"id": "plain", "labels": [], "samplers": ["ddim"], "guidance": False, "size": [256, 192]},
    {"id": "words", "labels": [], "samplers": ["ddim"], "guidance": True, "size": [64, 64], "text": True},
    {
        "id": "chosen",
        "labels": [],
        "samplers": ["ddim", "pndm"],
        "guidance": True,
        "size": [96, 64],
        "text": True,
        "num_inference_steps": 30,
        "guidance_scale": 3,
        "default_negative_prompt": "blurry",
    },
]


def png(level: int, size: list[int]) -> str:
    """A grey picture, in base64."""
    buffer = io.BytesIO()
    Image.new("L", (size[0], size[1]), level).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


class FakeServer(ThreadingHTTPServer):
    """Answers as the real one does; keeps what it was asked, and which requests their client left.

    ``bodies`` has JSON bodies and the text fields of forms, ``files`` the files of forms.
    """

    daemon_threads = True

    def __init__(self, api_key: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api_key = api_key
        self.bodies: list[dict[str, Any]] = []
        self.files: list[Mapping[str, Image.Image]] = []
        self.left: queue.Queue[str] = queue.Queue()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(200, _PAGE.html.encode(), "text/html; charset=utf-8")
        elif self._has_key():
            data = [_described(**model) for model in _MODELS]
            self._answer(200, json.dumps({"object": "list", "data": data}).encode())

    def do_POST(self) -> None:
        contents = self.rfile.read(int(self.headers["Content-Length"]))
        body = self._form(contents) if self.path == "/v1/images/edits" else json.loads(contents)
        if not self._has_key():
            return
        self.server.bodies.append(body)
        what = (body.get("labels") or [""])[0]
        if what == "refused":
            self._refuse(400, "num_inference_steps: this server makes at most 10")
        elif what == "full":
            self._refuse(429, "the queue is full", {"Retry-After": "7"})
        else:
            self._stream(what, next(model for model in _MODELS if model["id"] == body["model"]))

    def _form(self, contents: bytes) -> dict[str, Any]:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts: Any = BytesParser(policy=HTTP).parsebytes(head + contents).iter_parts()
        fields = {part.get_param("name", header="Content-Disposition"): part for part in parts}
        files = {name: part for name, part in fields.items() if part.get_filename()}
        read = {name: Image.open(io.BytesIO(part.get_payload(decode=True))) for name, part in files.items()}
        self.server.files.append(read)
        texts = {name: part.get_payload(decode=True).decode() for name, part in fields.items() if name not in files}
        return {**texts, **({"labels": [texts["labels"]]} if "labels" in texts else {})}

    def _stream(self, what: str, model: dict[str, Any]) -> None:
        self._head(200, "text/event-stream", {})
        for index in range(3):
            partial = {"b64_json": png(60 * index, model["size"]), "partial_image_index": index}
            self._event("image_generation.partial_image", partial)
        if what == "hangs":
            self.connection.recv(1)  # nothing more comes, so this ends when the client goes
            self.server.left.put(what)
        elif what == "breaks":
            self._event("error", {"error": {"message": "unet: NaN at step 3", "type": "server_error"}})
        elif what != "cut off":
            recipe = {"prompts": [""]} if model.get("text") else {}
            self._event("image_generation.completed", {"b64_json": png(200, model["size"]), "ddim_edge": recipe})

    def _event(self, kind: str, data: dict[str, Any]) -> None:
        typed = data if kind == "error" else {"type": kind, **data}
        self.wfile.write(f"event: {kind}\ndata: {json.dumps(typed)}\n\n".encode())

    def _has_key(self) -> bool:
        known = self.server.api_key in (None, (self.headers["Authorization"] or "").removeprefix("Bearer "))
        if not known:
            self._refuse(401, "the API key is missing or wrong")
        return known

    def _refuse(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        self._answer(status, json.dumps({"error": {"message": message}}).encode(), headers=headers)

    def _answer(
        self, status: int, body: bytes, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        self._head(status, kind, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def _head(self, status: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Security-Policy": _PAGE.csp, **headers}.items():
            self.send_header(name, value)
        self.end_headers()


def _described(id: str, **extension: Any) -> dict[str, Any]:
    text = extension.setdefault("text", False)
    own = {"sampler": extension["samplers"][-1], "num_inference_steps": 20, "guidance_scale": 7.5 if text else 1.0}
    usual = {"negative_prompt": text, "default_negative_prompt": None, "size_multiple": 4, "caches": ["forecast"]}
    extension = {**usual, **own, **extension}
    return {"id": id, "object": "model", "ddim_edge": extension}


@contextmanager
def fake_server(api_key: str | None = None) -> Iterator[FakeServer]:
    """A running fake."""
    with FakeServer(api_key) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
