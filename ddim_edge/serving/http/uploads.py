"""Decodes uploaded pictures in processes of their own, which can be killed; ``decoder_process.py`` is one of them."""

import asyncio
import os
import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ...arrays import Sample, Shape
from ...bundle.image_prompts import ImagePrompts
from ...generation.requests.origin import Origin
from ...images.decode import to_control, to_sample
from ...images.uploads import Upload
from ..errors import DeadlinePassed
from .decoder_process import DecoderProcess

_LATE = "the request took longer than its timeout, with its picture not yet decoded"


class Decoders:
    """A few processes that decode uploads, started at the first ones and kept. ``close`` kills them.

    Args:
        max_pixels: most pixels of a picture.
        check_open: raises an error when nothing more shall be decoded, such as Draining.
    """

    def __init__(self, max_pixels: int, check_open: Callable[[], None]) -> None:
        self._max_pixels, self._check_open = max_pixels, check_open
        count = min(4, max(2, (os.cpu_count() or 1) // 2))
        self._threads = ThreadPoolExecutor(count, "ddim-edge-decoder")
        self._idle: queue.LifoQueue[DecoderProcess] = queue.LifoQueue()
        self._all: list[DecoderProcess] = []

    async def decode(self, image: bytes, mask: bytes | None, shape: Shape, seconds: float) -> Origin:
        """The Origin from uploaded files for a model of ``shape`` (C, H, W), within ``seconds``, waiting included.

        Raises BadRequest for unsuitable files, OutOfMemory, DeadlinePassed, and what ``check_open`` raises.
        """
        upload = await self._upload(image, mask, shape, seconds)
        repainted = None if upload.mask is None else np.array(upload.mask)[None, None]
        return Origin(image=to_sample(upload.image), mask=repainted)

    async def decode_control(self, image: bytes, shape: Shape, seconds: float) -> Sample:
        """An uploaded picture for a ControlNet, of ``shape`` (C, H, W), in [0, 1]. Raises the same errors."""
        return to_control((await self._upload(image, None, shape, seconds)).image)

    async def decode_for_encoder(self, image: bytes, prompts: ImagePrompts, seconds: float) -> Sample:
        """An uploaded picture as the image encoder of IP-Adapters takes it. Raises the same errors."""
        shape = (3, prompts.side, prompts.side)
        upload = await self._upload(image, None, shape, seconds, prompts.preprocessor.fitting)
        return prompts.preprocessor.normalized(upload.image)

    async def _upload(
        self, image: bytes, mask: bytes | None, shape: Shape, seconds: float, fitting: list[Any] | None = None
    ) -> Upload:
        end, loop = time.monotonic() + seconds, asyncio.get_running_loop()
        decoding = loop.run_in_executor(self._threads, self._decode, image, mask, shape, end, fitting)
        try:
            return await asyncio.wait_for(decoding, max(0.0, seconds))
        except TimeoutError:
            raise DeadlinePassed(_LATE) from None

    def close(self) -> None:
        """Kill the processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in tuple(self._all):
            process.kill()

    def _decode(self, image: bytes, mask: bytes | None, shape: Shape, end: float, fitting: list[Any] | None) -> Upload:
        """Decode in an idle process, or in a new one. Called in one of the threads."""
        self._check_open()
        seconds = end - time.monotonic()
        if seconds <= 0:
            raise DeadlinePassed(_LATE)
        process = self._take()
        try:
            return process.decode(image, mask, shape, seconds, fitting)
        finally:
            if process.alive:
                self._idle.put(process)
            else:
                self._all.remove(process)

    def _take(self) -> DecoderProcess:
        while not self._idle.empty():  # there are as many threads as processes: nobody else takes the last one
            process = self._idle.get()
            if process.alive:
                return process
            self._all.remove(process)
        process = DecoderProcess(self._max_pixels)
        self._all.append(process)
        return process
