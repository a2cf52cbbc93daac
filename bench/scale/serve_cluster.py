"""A small Ray cluster on this machine with our application of Ray Serve, and a load of so many requests at once."""

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

from ddim_edge.serving import Settings

from ..serving.batches import MAX_ROWS
from ..serving.client import open_client, post
from ..serving.processes import command_line, free_port, tree
from ..serving.trace import CLASSES, Ask

CONCURRENCY = 16
STEPS = 20
PATH = "/v1/images/generations"
SETTINGS = Settings(provider="cpu", max_rows=MAX_ROWS)
_STORE_BYTES = 80 * 2**20
_WAIT_S = 60.0


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """Ray and Serve's proxy; gives the address of the application that ``deploy`` starts."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] = "ddim_edge.serving.ray:proxy_middleware"
    import ray
    from ray import serve

    port = free_port()
    ray.init(num_cpus=4, include_dashboard=False, object_store_memory=_STORE_BYTES, log_to_driver=False)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        yield f"http://127.0.0.1:{port}"
    finally:
        serve.shutdown()
        ray.shutdown()


def deploy(replicas: int, settings: Settings = SETTINGS) -> None:
    """Start the application, or update it; returns when it has ``replicas`` replicas at one thread each."""
    from ray import serve

    from ddim_edge.serving.ray import deployment_of

    fixed = deployment_of(settings).options(
        num_replicas=replicas, autoscaling_config=None, ray_actor_options={"num_cpus": 1}, health_check_period_s=1
    )
    serve.run(fixed.bind(["fashion-mnist"], settings))
    wait_for(lambda: len(replica_pids()) == replicas)


def replica_pids() -> list[int]:
    """The processes of the replicas."""
    return [pid for pid in tree(os.getpid()) if b"ray::ServeReplica" in command_line(pid)]


def kill_a_replica() -> None:
    """End one replica as a lack of memory would."""
    os.kill(replica_pids()[0], signal.SIGKILL)


def wait_for(condition: Callable[[], bool]) -> None:
    """Raises TimeoutError where the condition does not come true."""
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the cluster did not come to the wanted state")
        time.sleep(0.05)


async def load(address: str, requests: int, during: Callable[[], None] | None = None) -> tuple[float, Counter[int]]:
    """Images a second of CONCURRENCY clients, and how many requests ended with each status.

    ``during`` is called in a thread when a quarter of them have ended; the load goes on until it has returned.
    """
    statuses: Counter[int] = Counter()
    asks = iter(range(requests))
    event: asyncio.Future[None] | None = None

    async def one_client() -> None:
        nonlocal event
        for number in asks:
            statuses[await post(client, address + PATH, _ask(number))] += 1
            if during is not None and event is None and statuses.total() * 4 >= requests:
                event = asyncio.ensure_future(asyncio.to_thread(during))
        while event is not None and not event.done():
            statuses[await post(client, address + PATH, _ask(0))] += 1

    async with open_client() as client:
        began = time.perf_counter()
        await asyncio.gather(*(one_client() for _ in range(CONCURRENCY)))
        seconds = time.perf_counter() - began
        if event is not None:
            await event
    return statuses[200] / seconds, statuses


def _ask(number: int) -> Ask:
    return Ask(0.0, STEPS, (number % CLASSES,), number)
