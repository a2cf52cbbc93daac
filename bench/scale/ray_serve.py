"""Ray Serve against plain ``ddim-edge serve``: throughput, a killed replica, a rolling update, a client that leaves,
and the addresses of images and jobs through two replicas with a store.

Every replica and the plain server compute with one thread; the same clients send the requests.
"""

import asyncio
import contextlib
import dataclasses
import os
import re
import statistics
import time
from pathlib import Path

import httpx2

from tests.serving.redis_process import redis_process

from .. import results
from ..results import Record
from ..serving.processes import ours
from .serve_cluster import CONCURRENCY, PATH, SETTINGS, cluster, deploy, kill_a_replica, load, wait_for

LEAST_OF_PLAIN, LEAST_OF_ONE = 0.85, 1.4
"""One replica's throughput over the plain server's; two replicas' over one's."""
MOST_DISCONNECT_S = 2.0
ASKED = 24
_LONG = {"labels": [8] * 10, "n": 10, "num_inference_steps": 1000, "seed": 7}
_CALLS = re.compile(r"^ddim_edge_batch_rows_count\{.*\} (\S+)$", re.MULTILINE)


def measure(_work: Path, quick: bool) -> Record:
    """The figures, and the list ``failures`` of the bounds that were not kept."""
    os.environ["OMP_NUM_THREADS"] = "1"
    requests, rounds = (24, 1) if quick else (400, 3)
    record: Record = {"concurrency": CONCURRENCY, "requests": requests, "rounds": rounds}
    with ours(name="beside-ray") as plain, cluster() as address:
        deploy(1)
        record |= _throughput({"plain": plain.address, "one_replica": address}, requests, rounds)
        record["same_image"] = _image(plain.address) == _image(address)
        record["disconnect_s"] = round(_seconds_of_a_disconnect(address), 2)
        plain.stop()
        deploy(2)
        record |= _throughput({"two_replicas": address}, requests, rounds)
        record["killed_replica"] = _statuses(address, requests, kill_a_replica)
        deploy(2)
        updated = dataclasses.replace(SETTINGS, max_queue=SETTINGS.max_queue + 1)
        record["rolling_update"] = _statuses(address, requests, lambda: deploy(2, updated))
        with redis_process() as store:
            deploy(2, dataclasses.replace(SETTINGS, store=store))
            record["found"] = _found(address)
    record["of_plain"] = round(record["one_replica"] / record["plain"], 2)
    record["of_one"] = round(record["two_replicas"] / record["one_replica"], 2)
    return {**record, **results.environment("onnxruntime", "ray"), "failures": list(_failures(record, quick))}


def _throughput(addresses: dict[str, str], requests: int, rounds: int) -> Record:
    """Images a second of each address: the median of rounds that take turns, after one that is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in addresses}
    for number in range(rounds + 1):
        for name, address in addresses.items():
            rate, _ = asyncio.run(load(address, requests if number else CONCURRENCY))
            if number:
                rates[name].append(rate)
    return {name: round(statistics.median(found), 1) for name, found in rates.items()}


def _statuses(address: str, requests: int, during: object) -> dict[str, int]:
    assert callable(during)
    _, statuses = asyncio.run(load(address, requests, during))
    return {str(status): count for status, count in sorted(statuses.items())}


def _image(address: str) -> str:
    """An image as the openai client gets it, base64."""
    from openai import OpenAI

    client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    images = client.images.generate(prompt="bag", model="fashion-mnist", extra_body={"seed": 7})
    assert images.data is not None
    return images.data[0].b64_json or ""


def _found(address: str) -> dict[str, int]:
    """How many of ASKED image addresses, and of as many jobs, answer: each request reaches any of the replicas."""
    bodies = [{"prompt": "bag", "seed": seed, "num_inference_steps": 5} for seed in range(ASKED)]
    answers = [httpx2.post(address + PATH, json={**body, "response_format": "url"}).json() for body in bodies]
    images = sum(httpx2.get(answer["data"][0]["url"]).status_code == 200 for answer in answers)
    jobs = [f"{address}/v1/jobs/{httpx2.post(f'{address}/v1/jobs', json=body).json()['id']}" for body in bodies]
    wait_for(lambda: all(httpx2.get(job).json().get("status") not in ("queued", "running") for job in jobs))
    return {"images": images, "jobs": sum(httpx2.get(job).json().get("status") == "done" for job in jobs)}


def _seconds_of_a_disconnect(address: str) -> float:
    """Seconds from the end of a client's connection to the replica's last network call."""
    before = _network_calls(address)
    with contextlib.suppress(httpx2.TimeoutException):
        httpx2.post(address + PATH, json=_LONG, timeout=httpx2.Timeout(30, read=1.0))
    left = time.monotonic()
    if _network_calls(address) == before:
        raise RuntimeError("the request had not begun before its client left")
    last, changed = -1.0, left

    def is_quiet() -> bool:
        nonlocal last, changed
        calls = _network_calls(address)
        if calls != last:
            last, changed = calls, time.monotonic()
        return time.monotonic() - changed > 1

    wait_for(is_quiet)
    return changed - left


def _network_calls(address: str) -> float:
    return sum(map(float, _CALLS.findall(httpx2.get(f"{address}/metrics").text)))


def _failures(record: Record, quick: bool) -> list[str]:
    """A quick run's throughput is too short to be held against its bounds."""
    lost = sum(count for status, count in record["killed_replica"].items() if status != "200")
    kept = {
        f"one replica makes {record['of_plain']} of plain": quick or record["of_plain"] >= LEAST_OF_PLAIN,
        f"two replicas make {record['of_one']} of one": quick or record["of_one"] >= LEAST_OF_ONE,
        "the openai client got another image": record["same_image"],
        f"a client left, and calls went on for {record['disconnect_s']} s": record["disconnect_s"] <= MOST_DISCONNECT_S,
        f"a killed replica lost {lost} requests": lost <= CONCURRENCY,
        f"of {ASKED} images and jobs these were found: {record['found']}": set(record["found"].values()) == {ASKED},
        f"a rolling update ended in {record['rolling_update']}": set(record["rolling_update"]) == {"200"},
    }
    return [failure for failure, is_kept in kept.items() if not is_kept]
