"""The application of Ray Serve: a replica without a cluster, and a small cluster with one replica."""

import importlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient

from ddim_edge.errors import ConfigError
from ddim_edge.serving import Settings, create_app

from .live import wait_until

_EXAMPLE = Path(__file__).parents[2] / "deploy" / "ray" / "serve.yaml"
_IMAGES = "/v1/images/generations"
_CAT = {"prompt": "cat", "seed": 7, "num_inference_steps": 3}
_BAG = {**_CAT, "prompt": "bag"}

serving_ray = pytest.importorskip("ddim_edge.serving.ray")


@pytest.fixture(autouse=True)
def _process_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_ray, "_set_up_process", lambda _settings: None)


def test_a_replica_serves_what_the_server_serves(tiny_bundle: Path) -> None:
    replica = serving_ray.Replica([f"tiny={tiny_bundle}"], Settings())
    with (
        TestClient(replica.__serve_build_asgi_app__()) as of_replica,
        TestClient(create_app({"tiny": tiny_bundle})) as plain,
    ):
        images = [client.post(_IMAGES, json=_CAT).json()["data"] for client in (of_replica, plain)]
        assert images[0] == images[1]
        replica.check_health()


def test_a_replica_whose_engine_has_failed_is_unhealthy(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replica = serving_ray.Replica([f"tiny={tiny_bundle}"], Settings())
    app = replica.__serve_build_asgi_app__()
    with TestClient(app) as client:

        def fail(_now: float) -> None:
            raise RuntimeError("of the test")

        monkeypatch.setattr(app.state.engine.scheduler, "turn", fail)
        assert client.post(_IMAGES, json=_CAT).status_code == 503
        with pytest.raises(RuntimeError, match="engine thread has stopped"):
            replica.check_health()


def test_a_replica_takes_the_key_of_its_own_environment(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDIM_EDGE_API_KEY", "secret")
    app = serving_ray.Replica([f"tiny={tiny_bundle}"], Settings()).__serve_build_asgi_app__()
    with TestClient(app) as client:
        assert client.get("/v1/models").status_code == 401
        assert client.get("/v1/models", headers={"Authorization": "Bearer secret"}).status_code == 200


def test_serve_sends_no_more_than_the_queue_takes() -> None:
    deployment = serving_ray.deployment_of(Settings(max_queue=9, max_rows=4))
    assert (deployment.max_ongoing_requests, deployment.max_queued_requests) == (9, 9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"max_row": 4}, "max_rows"), ({"max_rows": 0}, "max_rows"), ({"warm_up": "yes"}, "warm_up")],
)
def test_wrong_settings_are_refused_before_a_replica_starts(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        serving_ray.build(serving_ray.Arguments(settings=settings))


def test_the_example_is_one_that_serve_takes() -> None:
    import yaml
    from ray.serve.schema import ServeDeploySchema

    schema = ServeDeploySchema.model_validate(yaml.safe_load(_EXAMPLE.read_text()))
    (application,) = schema.applications
    assert application.import_path == "ddim_edge.serving.ray:build"
    built = serving_ray.build(serving_ray.Arguments.model_validate(application.args))
    assert {built._bound_deployment.name} == {deployment.name for deployment in application.deployments}


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "ddim_edge.serving.ray")
    with pytest.raises(ConfigError, match=r"pip install '.*'ray\[data,serve\]>=2.60'"):
        importlib.import_module("ddim_edge.serving.ray")


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve with one replica on a free port."""
    import ray
    from ray import serve

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "ddim_edge.serving.ray:proxy_middleware")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=80 * 2**20, log_to_driver=False)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(serving_ray.app)
        yield f"http://127.0.0.1:{port}"
    finally:
        serve.shutdown()
        ray.shutdown()


@pytest.mark.slow
def test_serve_makes_the_images_of_the_server_and_says_when_a_replica_is_lost(address: str) -> None:
    with httpx2.Client(base_url=address, timeout=60) as client:
        with TestClient(create_app()) as plain:
            assert client.post(_IMAGES, json=_BAG).json()["data"] == plain.post(_IMAGES, json=_BAG).json()["data"]
        events = client.post(_IMAGES, json={**_BAG, "stream": True, "partial_images": 1}).text
        assert events.count("event: image_generation.partial_image") == 1
        assert events.count("event: image_generation.completed") == 1
        assert client.get("/health/ready").status_code == 200
        assert client.get("/nothing").json()["error"]["code"] == "not_found"
        lost = _answer_of_a_killed_replica(client)
        assert (lost.status_code, lost.json()["error"]["code"]) == (503, "replica_lost")


def _answer_of_a_killed_replica(client: httpx2.Client) -> httpx2.Response:
    """The answer to a long request; the replica is killed when it has begun with it."""
    from concurrent.futures import ThreadPoolExecutor

    long = {**_BAG, "num_inference_steps": 1000, "n": 10}
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.post, _IMAGES, json=long)
        wait_until(lambda: "ddim_edge_batch_rows_count" in client.get("/metrics").text)
        _kill_replica()
        return answer.result()


def _kill_replica() -> None:
    import ray

    (actor,) = [
        actor for actor in ray.util.list_named_actors(all_namespaces=True) if actor["name"].startswith("SERVE_REPLICA")
    ]
    ray.kill(ray.get_actor(actor["name"], namespace=actor["namespace"]))
