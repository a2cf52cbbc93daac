"""The processes that make images, without a cluster."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ddim_edge.errors import ConfigError
from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.api_keys import ApiKeys
from ddim_edge.serving.ray.replica import ModelReplica, Replica

PATH = "/v1/images/generations"
CAT = {"prompt": "cat", "seed": 7, "num_inference_steps": 3}


def written(file: Path, *names: str) -> Path:
    file.write_text("".join(f'[[keys]]\nname = "{name}"\nkey = "key-of-{name}"\n' for name in names))
    return file


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer key-of-{name}"}


def test_a_replica_serves_what_the_server_serves(tiny_bundle: Path) -> None:
    replica = Replica([f"tiny={tiny_bundle}"], Settings())
    with (
        TestClient(replica.__serve_build_asgi_app__()) as of_replica,
        TestClient(create_app({"tiny": tiny_bundle})) as plain,
    ):
        images = [client.post(PATH, json=CAT).json()["data"] for client in (of_replica, plain)]
        assert images[0] == images[1]
        replica.check_health()


def test_a_replica_whose_engine_has_failed_is_unhealthy(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replica = Replica([f"tiny={tiny_bundle}"], Settings())
    app = replica.__serve_build_asgi_app__()
    with TestClient(app) as client:

        def fail(_now: float) -> None:
            raise RuntimeError("of the test")

        monkeypatch.setattr(app.state.engine.scheduler, "turn", fail)
        assert client.post(PATH, json=CAT).status_code == 503
        with pytest.raises(RuntimeError, match="engine thread has stopped"):
            replica.check_health()


def test_a_replica_takes_the_key_of_its_own_environment(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDIM_EDGE_API_KEY", "secret")
    app = Replica([f"tiny={tiny_bundle}"], Settings()).__serve_build_asgi_app__()
    with TestClient(app) as client:
        assert client.get("/v1/models").status_code == 401
        assert client.get("/v1/models", headers={"Authorization": "Bearer secret"}).status_code == 200


@pytest.mark.parametrize("where", ["settings", "environment"])
def test_a_replica_reads_the_keys_with_names_from_its_own_machine(
    where: str, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "keys.toml", "alice")
    settings = Settings(api_keys=ApiKeys(file)) if where == "settings" else Settings()
    if where == "environment":
        monkeypatch.setenv("DDIM_EDGE_SERVE_API_KEYS", str(file))
        monkeypatch.setenv("DDIM_EDGE_API_KEY", "unused")
    written(file, "bob")  # another file than where the configuration was read
    app = Replica([f"tiny={tiny_bundle}"], settings).__serve_build_asgi_app__()
    client = TestClient(app)
    assert client.get("/v1/models", headers=bearer("alice")).status_code == 401
    assert client.get("/v1/models", headers=bearer("bob")).status_code == 200
    written(file, "carol-and-others")
    app.state.engine.settings.api_keys.reload_if_changed()
    assert client.get("/v1/models", headers=bearer("bob")).status_code == 401
    assert client.get("/v1/models", headers=bearer("carol-and-others")).status_code == 200


def test_a_replica_without_the_file_of_its_keys_does_not_start(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDIM_EDGE_SERVE_API_KEYS", f"{os.sep}nowhere")
    with pytest.raises(ConfigError, match="cannot be read"):
        Replica([f"tiny={tiny_bundle}"], Settings()).__serve_build_asgi_app__()


async def replica_of(tiny_bundle: Path) -> Any:
    """Made as Serve makes it, which awaits the constructor."""
    replica: Any = object.__new__(ModelReplica)
    await replica.__init__([f"tiny={tiny_bundle}"], Settings())
    return replica


def scope_of(body: bytes) -> dict[str, Any]:
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": headers, "scheme": "http"}


def test_leaving_the_answer_of_a_model_cancels_its_request(tiny_bundle: Path) -> None:
    body = b'{"prompt": "cat", "n": 10, "num_inference_steps": 1000}'

    async def leave() -> None:
        replica = await replica_of(tiny_bundle)
        engine = replica._app.state.engine.engine_thread
        answer = replica.answer(scope_of(body), body)
        waiting = asyncio.ensure_future(anext(answer))
        async with asyncio.timeout(30):
            while engine.running == 0:
                await asyncio.sleep(0.01)
            waiting.cancel()
            while engine.running > 0:
                await asyncio.sleep(0.01)
        await replica.aclose()
        assert engine.draining

    asyncio.run(leave())
