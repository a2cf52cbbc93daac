"""The server's side of a process that decodes uploads; ``runtime/workers/upload_decoder.py`` is the other side."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from typing import Any

import numpy as np

from ...arrays import Shape
from ...images.uploads import Upload
from ...runtime.workers.process import exit_text
from ..errors import BadRequest, DeadlinePassed, OutOfMemory, RequestError

LOG = logging.getLogger("ddim_edge.serving")
_MODULE = "ddim_edge.runtime.workers.upload_decoder"
_LONGEST_LINE = 4096
_END_SECONDS = 5.0


class DecoderProcess:
    """One process that decodes one upload after the other. Not thread-safe, but for ``kill``.

    It gets no variable of this program: the API key may be in one.
    """

    def __init__(self, max_pixels: int) -> None:
        others = {name: value for name, value in os.environ.items() if not name.startswith("DDIM_EDGE_")}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE, str(max_pixels)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=others | {"OPENBLAS_NUM_THREADS": "1"},  # each thread takes address space
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._responses = self._process.stdin, self._process.stdout
        self._killed = False

    @property
    def alive(self) -> bool:
        return not self._killed and self._process.poll() is None

    def kill(self) -> None:
        """End it at once, also in the middle of an upload."""
        self._killed = True
        self._process.kill()

    def decode(
        self, image: bytes, mask: bytes | None, shape: Shape, seconds: float, fitting: list[Any] | None = None
    ) -> Upload:
        """Decode an upload within ``seconds``; raises BadRequest, OutOfMemory or DeadlinePassed, and may have ended.

        ``fitting``: that of a ClipPreprocessor which makes pictures of ``shape``.
        """
        timer = threading.Timer(seconds, self.kill)
        timer.daemon = True
        timer.start()
        try:
            self._send(image, mask, shape, fitting)
            response = self._responses.readline(_LONGEST_LINE)
            error = json.loads(response) if response else self._how_it_ended()
            if error:
                raise _request_error(error)
            return self._upload(shape, has_mask=mask is not None)
        finally:
            timer.cancel()
            if not self.alive:
                self._close()

    def _send(self, image: bytes, mask: bytes | None, shape: Shape, fitting: list[Any] | None) -> None:
        lengths = {"image": len(image), "mask": None if mask is None else len(mask)}
        request = {"shape": shape, **lengths, "fitting": fitting}
        with contextlib.suppress(OSError):  # it has ended: there will be no response
            for part in (json.dumps(request).encode() + b"\n", image, mask or b""):
                self._requests.write(part)
            self._requests.flush()

    def _upload(self, shape: Shape, *, has_mask: bool) -> Upload:
        """The pixels of a response; they have the length that this side expects, whatever the process has read."""
        channels, height, width = shape
        image = self._read(height * width * channels).reshape(height, width, channels)
        return Upload(image, self._read(height * width).reshape(height, width) > 0 if has_mask else None)

    def _read(self, count: int) -> Any:
        contents = self._responses.read(count)
        if len(contents) < count:
            raise _request_error(self._how_it_ended())
        return np.frombuffer(contents, np.uint8)

    def _how_it_ended(self) -> dict[str, Any]:
        """Why there is no response, as an error like those of the process."""
        code = self._process.wait(_END_SECONDS)
        if self._killed:
            return {"late": True}
        if code == -signal.SIGKILL:  # by the system, which is out of memory
            return {"out_of_memory": True}
        if code >= 0:
            raise RuntimeError(f"the process that decodes uploads {exit_text(code)}")
        LOG.warning("the process that decodes uploads %s", exit_text(code))
        reason = "it takes too long to decode" if code == -signal.SIGPROF else "it cannot be decoded"
        return {"error": f"image or mask: {reason}", "param": "image"}

    def _close(self) -> None:
        for pipe in (self._requests, self._responses):
            with contextlib.suppress(OSError):
                pipe.close()


def _request_error(error: dict[str, Any]) -> RequestError:
    if "late" in error:
        return DeadlinePassed("the request took longer than its timeout, with its picture not yet decoded")
    if "out_of_memory" in error:
        return OutOfMemory("too little memory to decode the picture: try again later, or send a smaller one")
    return BadRequest(error["error"], param=error["param"])
