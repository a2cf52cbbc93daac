"""HTTP client of the load bench: sends each request at its time, without waiting for the others."""

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
    """The result of a request; times in seconds on the clock of the trace."""

    ask: Ask
    scheduled: float
    sent: float
    done: float
    status: int
    """The HTTP status, TIMED_OUT, or BROKEN for a broken connection."""

    @property
    def latency(self) -> float:
        """From when it should have been sent, so that a late client does not make it look shorter."""
        return self.done - self.scheduled


def open_client(timeout_s: float = TIMEOUT_S, *, keep_alive: bool = True) -> httpx2.AsyncClient:
    """A client without a limit on connections; without ``keep_alive`` each request has a connection of its own."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None if keep_alive else 0)
    return httpx2.AsyncClient(timeout=httpx2.Timeout(timeout_s), limits=limits, trust_env=False)


async def replay(
    url: str, asks: Sequence[Ask], rate: float, timeout_s: float = TIMEOUT_S, *, keep_alive: bool = True
) -> list[Outcome]:
    """Send ``asks`` at ``rate`` requests a second; returns after the last response."""
    async with open_client(timeout_s, keep_alive=keep_alive) as client:
        began = time.perf_counter() + 0.2
        return await asyncio.gather(*(_send(client, url, ask, began, ask.at / rate) for ask in asks))


async def _send(client: httpx2.AsyncClient, url: str, ask: Ask, began: float, scheduled: float) -> Outcome:
    await asyncio.sleep(max(0.0, began + scheduled - time.perf_counter()))
    sent = time.perf_counter() - began
    status = await post(client, url, ask)
    return Outcome(ask, scheduled, sent, time.perf_counter() - began, status)


async def post(client: httpx2.AsyncClient, url: str, ask: Ask) -> int:
    """Send a request and return the status; BROKEN for a response with too few images."""
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
    """The images of a response, uint8 (H, W). Raises httpx2.HTTPError for an error status."""
    response = await client.post(url, json=ask.body())
    response.raise_for_status()
    return decode(response.json())


def decode(answer: dict[str, list[dict[str, str]]]) -> list[Pixels]:
    """The images of a response's JSON."""
    files = (base64.b64decode(item["b64_json"]) for item in answer["data"])
    return [np.asarray(Image.open(io.BytesIO(file))) for file in files]
