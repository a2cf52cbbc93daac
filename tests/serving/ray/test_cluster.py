"""A small cluster: one model, and two models behind an ingress."""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
import ray
from fastapi.testclient import TestClient
from ray import serve

from ddim_edge.serving import create_app
from ddim_edge.serving import ray as serving_ray
from tests.serving.live import wait_until

PATH = "/v1/images/generations"
BAG = {"prompt": "bag", "seed": 7, "num_inference_steps": 3}
LONG = {**BAG, "num_inference_steps": 1000, "n": 10}
IMAGES = re.compile(r'^ray_ddim_edge_images_total\{.*deployment="(.+?)".*\} (\S+)$', re.MULTILINE)
_SMALL: Any = {"object_store_memory": 80 * 2**20, "_system_config": {"metrics_report_interval_ms": 500}}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of Serve on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "ddim_edge.serving.ray:proxy_middleware")
        ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, **_SMALL)
        try:
            serve.start(http_options={"host": "127.0.0.1", "port": port})
            yield f"http://127.0.0.1:{port}"
        finally:
            serve.shutdown()
            ray.shutdown()


@pytest.fixture
def client(cluster: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=cluster, timeout=60) as client:
        yield client


def test_two_models_behind_an_ingress(client: httpx2.Client, tiny_bundle: Path, tmp_path: Path) -> None:
    models = {"tiny": str(tiny_bundle), "fashion-mnist": "fashion-mnist"}
    arguments = {
        "models": [f"{name}={path}" for name, path in models.items()],
        "settings": {"store": f"sqlite:{tmp_path / 's'}"},
    }
    serve.run(serving_ray.build(arguments), name="two", route_prefix="/two")
    bodies = [{**BAG, "model": "fashion-mnist"}, {**BAG, "prompt": "cat"}, {**BAG, "model": "none"}]
    with TestClient(create_app(models)) as plain:
        for body in bodies:
            answers: Any = [client.post(f"/two{PATH}", json=body), plain.post(PATH, json=body)]
            assert answers[0].status_code == answers[1].status_code
            assert [answers[0].json().get(key) == answers[1].json().get(key) for key in ("data", "error")] == [True] * 2
    events = client.post(f"/two{PATH}", json={**bodies[0], "stream": True, "partial_images": 1}).text
    assert re.findall("^event: image_generation.(.*)$", events, re.MULTILINE) == ["partial_image", "completed"]
    wait_until(lambda: _images_of_deployments() == {"fashion-mnist": 2, "tiny": 1})


def _images_of_deployments() -> dict[str, float]:
    """The counts of images by their deployments, from Ray's metrics."""
    (node,) = ray.nodes()
    text = httpx2.get(f"http://127.0.0.1:{node['MetricsExportPort']}/metrics").text
    return {deployment: float(count) for deployment, count in IMAGES.findall(text)}


def test_one_model_and_a_replica_that_is_lost(client: httpx2.Client) -> None:
    serve.run(serving_ray.app, name="one")
    with TestClient(create_app()) as plain:
        assert client.post(PATH, json=BAG).json()["data"] == plain.post(PATH, json=BAG).json()["data"]
    events = client.post(PATH, json={**BAG, "stream": True, "partial_images": 1}).text
    assert events.count("event: image_generation.partial_image") == 1
    assert events.count("event: image_generation.completed") == 1
    assert client.get("/health/ready").status_code == 200
    assert client.get("/nothing").json()["error"]["code"] == "not_found"
    lost = _answer_of_a_killed_replica(client)
    assert (lost.status_code, lost.json()["error"]["code"]) == (503, "replica_lost")


def _answer_of_a_killed_replica(client: httpx2.Client) -> httpx2.Response:
    """The answer to a long request; the replica is killed when it has begun with it."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.post, PATH, json=LONG)
        wait_until(lambda: "ddim_edge_running_requests 1.0" in client.get("/metrics").text)
        _kill_replica("SERVE_REPLICA::one#")
        return answer.result()


def _kill_replica(start: str) -> None:
    actors = ray.util.list_named_actors(all_namespaces=True)
    (actor,) = [actor for actor in actors if actor["name"].startswith(start)]
    ray.kill(ray.get_actor(actor["name"], namespace=actor["namespace"]))
