"""The process that decodes uploaded pictures for the server: bounded in memory and processor time, of low priority.

A request is one line of JSON, ``{"shape": [C, H, W], "image": bytes, "mask": bytes or null, "fitting": null}``, and the
two files of those lengths. The response is one line, ``{}`` or the error, and the pixels, uint8 (H, W, C), then the
mask, uint8 (H, W), if there is one. A picture for an image encoder is fitted by size, crop and filter of its
preprocessor, which ``fitting`` has. It ends when its standard input does. At its limit of processor time it is killed
by SIGPROF, also in the middle of a C call.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...images.clip_preprocessor import ClipPreprocessor
from ...images.uploads import Upload, UploadError, decode_for_encoder, decode_upload
from .child import end_with_parent

_NICENESS = 5
"""A third of the engine's share of a processor. At 19 it would nearly stand still while the engine uses all of them."""
_CPU_SECONDS = 5.0
"""Of one request. A photo of 16 megapixels takes less than one on a slow processor."""
_BYTES_PER_PIXEL = 40
"""An RGBA picture is copied up to five times, and its mask twice; four bytes each."""
_SPARE_BYTES = 256 * 2**20


def main() -> None:
    """Respond to requests until standard input ends. The argument is the largest number of pixels."""
    max_pixels = int(sys.argv[1])
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal: the server decides when this ends
    if sys.platform != "win32":
        os.nice(_NICENESS)
    _limit_memory(max_pixels * _BYTES_PER_PIXEL + _SPARE_BYTES)
    requests, responses = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        request = json.loads(line)
        image = requests.read(request["image"])
        mask = None if request["mask"] is None else requests.read(request["mask"])
        _limit_time(_CPU_SECONDS)
        error, upload = _decode(image, mask, tuple(request["shape"]), request["fitting"], max_pixels)
        _limit_time(0)
        _respond(responses, error, upload)


def _decode(
    image: bytes, mask: bytes | None, shape: Any, fitting: Any, max_pixels: int
) -> tuple[dict[str, Any], Upload | None]:
    """The decoded upload, or the error as JSON values."""
    try:
        if fitting is not None:
            return {}, Upload(decode_for_encoder(image, ClipPreprocessor.from_fitting(fitting), max_pixels), None)
        return {}, decode_upload(image, mask, shape, max_pixels)
    except UploadError as error:
        return {"error": str(error), "param": error.param}, None
    except MemoryError:
        return {"out_of_memory": True}, None


def _respond(responses: BinaryIO, error: dict[str, Any], upload: Upload | None) -> None:
    responses.write(json.dumps(error).encode() + b"\n")
    if upload is not None:
        responses.write(np.ascontiguousarray(upload.image).tobytes())
        responses.write(b"" if upload.mask is None else upload.mask.astype(np.uint8).tobytes())
    responses.flush()


def _limit_memory(extra: int) -> None:
    """Let the address space grow by ``extra`` bytes at most; on Linux only, where that can be read."""
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + extra
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _limit_time(seconds: float) -> None:
    """End the process after so many seconds of processor time; 0 for no limit. Windows has no such timer."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
