"""The client of every way: it sends each request at its time, however long the others take."""

import asyncio
import base64
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2
import numpy as np
from PIL import Image

from ddim_edge.arrays import Pixels

from .trace import Ask

TIMEOUT_S = 600.0
TIMED_OUT = 0
BROKEN = -1


@dataclass(frozen=True)
class Outcome:
    """What came of a request; seconds on one clock, that of the trace."""

    ask: Ask
    scheduled: float
    sent: float
    done: float
    status: int
    """HTTP's, TIMED_OUT, or BROKEN where the connection was."""

    @property
    def latency(self) -> float:
        """From when it should have been sent, so that a client that is late hides nothing."""
        return self.done - self.scheduled


def open_client() -> httpx2.AsyncClient:
    """A client without a bound of its own on connections."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx2.AsyncClient(timeout=httpx2.Timeout(TIMEOUT_S), limits=limits, trust_env=False)


async def replay(url: str, asks: Sequence[Ask], rate: float) -> list[Outcome]:
    """Send ``asks`` at ``rate`` requests a second; returns when the last one has been answered."""
    async with open_client() as client:
        began = time.perf_counter() + 0.2
        return await asyncio.gather(*(_send(client, url, ask, began, ask.at / rate) for ask in asks))


async def _send(client: httpx2.AsyncClient, url: str, ask: Ask, began: float, scheduled: float) -> Outcome:
    await asyncio.sleep(max(0.0, began + scheduled - time.perf_counter()))
    sent = time.perf_counter() - began
    status = await post(client, url, ask)
    return Outcome(ask, scheduled, sent, time.perf_counter() - began, status)


async def post(client: httpx2.AsyncClient, url: str, ask: Ask) -> int:
    """Ask and wait; the status. An answer with too few images is BROKEN."""
    try:
        response = await client.post(url, json=ask.body())
    except httpx2.TimeoutException:
        return TIMED_OUT
    except httpx2.HTTPError:
        return BROKEN
    if response.status_code == 200 and response.text.count('"b64_json"') != ask.images:
        return BROKEN
    return response.status_code


async def images_of(client: httpx2.AsyncClient, url: str, ask: Ask) -> list[Pixels]:
    """The images of an answer, uint8 (H, W); raises httpx2.HTTPError where there are none."""
    response = await client.post(url, json=ask.body())
    response.raise_for_status()
    return decode(response.json())


def decode(answer: dict[str, list[dict[str, str]]]) -> list[Pixels]:
    """The images of an answer's JSON."""
    files = (base64.b64decode(item["b64_json"]) for item in answer["data"])
    return [np.asarray(Image.open(io.BytesIO(file))) for file in files]
