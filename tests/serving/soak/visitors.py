"""The clients of the soak: most wait for their images, some go away, some take jobs, some ask for nonsense."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx2

from bench.serving.client import decode
from bench.serving.trace import Ask
from ddim_edge.arrays import Pixels
from tests.fuzz.bodies import json_bytes
from tests.fuzz.png import drawn

KEEP_EVERY = 20
"""Every so many answers, one is kept to be compared."""
_POLL_S = 0.25


@dataclass
class Seen:
    """What happened to all visitors together."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    kept: list[tuple[Ask, list[Pixels]]] = field(default_factory=list)

    def fault(self, what: str) -> None:
        """Something that must not be."""
        self.counts["faults"] += 1
        self.faults.append(what)


@dataclass(frozen=True)
class Visitors:
    """Everything that one visit needs."""

    client: httpx2.AsyncClient
    address: str
    seen: Seen

    async def visit(self, ask: Ask, generator: random.Random) -> None:
        """Do one of the things that clients do."""
        behaviours: list[Callable[[Ask, random.Random], Awaitable[None]]] = [
            self._wait, self._leave, self._take_job, self._delete_job, self._ask_nonsense, self._edit,
        ]  # fmt: skip
        behaviour = generator.choices(behaviours, [70, 10, 5, 5, 7, 3])[0]
        try:
            await behaviour(ask, generator)
        except httpx2.HTTPError as error:
            self.seen.fault(f"{behaviour.__name__} {ask.seed}: {type(error).__name__} {error}")

    async def _wait(self, ask: Ask, _: random.Random) -> None:
        response = await self._post("/v1/images/generations", ask)
        if self._accepted(response, 200, "waited for"):
            self._keep(ask, decode(response.json()))

    async def _leave(self, ask: Ask, generator: random.Random) -> None:
        """Close the connection in the midst of it; the same as closing a browser."""
        self.seen.counts["left"] += 1
        try:
            async with asyncio.timeout(generator.uniform(0, 2)):
                await self._post("/v1/images/generations", ask)
        except TimeoutError:
            self.seen.counts["left before the answer"] += 1

    async def _take_job(self, ask: Ask, _: random.Random) -> None:
        response = await self._post("/v1/jobs", ask)
        if not self._accepted(response, 202, "jobs taken"):
            return
        job = response.json()
        while job["status"] in ("queued", "running"):
            await asyncio.sleep(_POLL_S)
            preview = {"preview": "true"} if job["status"] == "running" else {}
            job = (await self.client.get(f"{self.address}/v1/jobs/{job['id']}", params=preview)).json()
        if job["status"] != "done":
            self.seen.fault(f"job {ask.seed}: {job['status']}, {job['error']}")
        else:
            self._keep(ask, decode(job["result"]))

    async def _delete_job(self, ask: Ask, generator: random.Random) -> None:
        response = await self._post("/v1/jobs", ask)
        if not self._accepted(response, 202, "jobs deleted"):
            return
        await asyncio.sleep(generator.uniform(0, 2))
        gone = await self.client.delete(f"{self.address}/v1/jobs/{response.json()['id']}")
        if gone.status_code != 200 or gone.json()["status"] not in ("cancelled", "done"):
            self.seen.fault(f"deleted job {ask.seed}: {gone.status_code} {gone.text[:200]}")

    async def _ask_nonsense(self, _: Ask, generator: random.Random) -> None:
        """What cannot be honoured, from the fuzzing; whatever is not a 500 will do."""
        body = json_bytes(generator).body
        headers = {"Content-Type": "application/json"}
        url = f"{self.address}/v1/images/generations"
        response = await self.client.post(url, content=body, headers=headers)
        self.seen.counts[f"nonsense {response.status_code}"] += 1
        if response.status_code >= 500 and response.status_code != 504:
            self.seen.fault(f"nonsense: {response.status_code} {response.text[:200]}, {body!r}")

    async def _edit(self, ask: Ask, _: random.Random) -> None:
        """A picture that is sent in, which takes other memory."""
        fields = {"num_inference_steps": str(ask.steps), "seed": str(ask.seed)}
        files = {"image": ("a.png", drawn("RGB", "PNG", (28, 28)), "image/png")}
        response = await self.client.post(f"{self.address}/v1/images/edits", data=fields, files=files)
        self._accepted(response, 200, "edited")

    async def _post(self, path: str, ask: Ask) -> httpx2.Response:
        return await self.client.post(self.address + path, json=ask.body())

    def _accepted(self, response: httpx2.Response, wanted: int, name: str) -> bool:
        """Count it; a refusal for want of room is none of the faults."""
        if response.status_code == wanted:
            self.seen.counts[name] += 1
        elif response.status_code == 429:
            self.seen.counts["rejected"] += 1
        else:
            self.seen.fault(f"{name}: {response.status_code} {response.text[:200]}")
        return response.status_code == wanted

    def _keep(self, ask: Ask, images: list[Pixels]) -> None:
        self.seen.counts["images"] += len(images)
        if len(images) != ask.images:
            self.seen.fault(f"{ask.seed}: {len(images)} images, not {ask.images}")
        elif self.seen.counts["answers"] % KEEP_EVERY == 0:
            self.seen.kept.append((ask, images))
        self.seen.counts["answers"] += 1


async def sample_rss(read: Callable[[], int], every_s: float) -> list[tuple[float, int]]:
    """Seconds and KiB, until cancelled; the list is handed back then."""
    began, samples = time.monotonic(), list[tuple[float, int]]()
    try:
        while True:
            samples.append((time.monotonic() - began, read()))
            await asyncio.sleep(every_s)
    except asyncio.CancelledError:
        return samples
