"""API keys with names and limits from a file."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ddim_edge.errors import ConfigError
from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.api_keys import ApiKeys, read_api_keys
from tests.helpers.tiny_bundles import write_bundle
from tests.serving.gate import Gate
from tests.serving.live import read_response, request, running, wait_until

PATH = "/v1/images/generations"
CAT = {"prompt": "cat", "num_inference_steps": 5, "seed": 1}
HASH = hashlib.sha256(b"bobs-key").hexdigest()
TWO = f'[[keys]]\nname = "alice"\nkey = "alices-key"\n[[keys]]\nname = "bob"\nsha256 = "{HASH}"\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "keys.toml"
    file.write_text(text, encoding="utf-8")
    return file


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_each_key_is_valid_and_the_log_has_its_name(
    tiny_bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = ApiKeys(written(tmp_path, TWO))
    client = TestClient(create_app({"tiny": tiny_bundle}, Settings(api_keys=keys)))
    with caplog.at_level(logging.INFO, "ddim_edge.access"):
        answers = [client.get("/v1/models", headers=bearer(key)) for key in ("alices-key", "bobs-key", HASH, "bob")]
        answers.append(client.get("/v1/models"))
    assert [answer.status_code for answer in answers] == [200, 200, 401, 401, 401]
    lines = [json.loads(record.message) for record in caplog.records if record.name == "ddim_edge.access"]
    assert [line.get("key") for line in lines] == ["alice", "bob", None, None, None]
    assert "alices-key" not in caplog.text + repr(keys) + repr(Settings(api_keys=keys))
    assert client.get("/openapi.json").json()["paths"]["/v1/models"]["get"]["security"] == [{"key": []}]


def test_a_model_that_is_not_allowed(tmp_path: Path) -> None:
    models = {name: write_bundle(tmp_path / name) for name in ("one", "two")}
    file = written(tmp_path, '[[keys]]\nname = "a"\nkey = "k"\nmodels = ["two"]\n')
    with TestClient(create_app(models, Settings(api_keys=ApiKeys(file))), headers=bearer("k")) as client:
        for path in (PATH, "/v1/jobs"):
            refused = client.post(path, json={**CAT, "model": "one"})
            error = refused.json()["error"]
            assert (refused.status_code, error["code"], error["param"]) == (403, "model_not_allowed", "model")
            assert "one, only: two" in error["message"]
            assert client.post(path, json={**CAT, "model": "two"}).status_code in (200, 202)
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["two"]
        assert client.get("/v1/models/two").status_code == 200
        assert client.get("/v1/models/one").json()["error"]["code"] == "model_not_allowed"


@pytest.mark.parametrize(
    ("limit", "says"),
    [("max_requests = 1", "max_requests 1"), ("max_queued_work = 9", "(max_queued_work)")],
)
def test_a_limit_is_named_and_holds_for_one_key_alone(tiny_bundle: Path, tmp_path: Path, limit: str, says: str) -> None:
    text = f'[[keys]]\nname = "a"\nkey = "ka"\n{limit}\n[[keys]]\nname = "b"\nkey = "kb"\n'
    settings = Settings(api_keys=ApiKeys(written(tmp_path, text)))
    app = create_app({"tiny": tiny_bundle}, settings)
    gate = Gate(app.state.engine, "tiny")
    with TestClient(app) as client:
        first = client.post("/v1/jobs", json=CAT, headers=bearer("ka"))
        gate.wait()
        refused = client.post("/v1/jobs", json=CAT, headers=bearer("ka"))
        assert (first.status_code, refused.status_code) == (202, 429)
        error = refused.json()["error"]
        assert (error["code"], error["type"]) == ("key_limit", "rate_limit_error")
        assert says in error["message"]
        assert int(refused.headers["Retry-After"]) >= 1
        assert client.post("/v1/jobs", json=CAT, headers=bearer("kb")).status_code == 202
        gate.let(50)
        wait_until(lambda: client.get(first.headers["Location"], headers=bearer("ka")).json()["status"] == "done")
        assert client.post("/v1/jobs", json=CAT, headers=bearer("ka")).status_code == 202


def test_a_request_that_is_alone_more_than_its_key_may_queue(tiny_bundle: Path, tmp_path: Path) -> None:
    file = written(tmp_path, '[[keys]]\nname = "a"\nkey = "k"\nmax_queued_work = 9\n')
    app = create_app({"tiny": tiny_bundle}, Settings(api_keys=ApiKeys(file)))
    with TestClient(app, headers=bearer("k")) as client:
        refused = client.post(PATH, json={**CAT, "n": 2})
        assert refused.status_code == 429
        assert "needs 10 rows of network calls, your API key may have 9" in refused.json()["error"]["message"]
        assert client.post(PATH, json=CAT).status_code == 200


def test_the_file_is_read_again_unless_it_is_broken(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = written(tmp_path, TWO)
    app = create_app({"tiny": tiny_bundle}, Settings(api_keys=ApiKeys(file)))

    def status(port: Any, key: str) -> int:
        with port.connect() as connection:
            connection.sendall(request("GET", "/v1/models", b"", f"Authorization: Bearer {key}"))
            return read_response(connection)[0]

    with running(app, monkeypatch) as server:
        written(tmp_path, "[[keys]")
        server.handle_reload(1, None)
        wait_until(lambda: "stay as they are" in caplog.text)
        assert status(server, "alices-key") == 200
        written(tmp_path, '[[keys]]\nname = "carol"\nkey = "carols-key"\n')
        server.handle_reload(1, None)
        wait_until(lambda: status(server, "carols-key") == 200)
        assert status(server, "alices-key") == 401


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at least one"),
        ('secret = "s3cret"\n', "nothing else"),
        ('key = s3cret"', "is not TOML"),
        ("keys = [1]", "key 1 must be a table"),
        ('[[keys]]\nname = "a"\n', "either key or sha256"),
        ('[[keys]]\nkey = "s3cret"\n', "name must be letters"),
        ('[[keys]]\nname = "a b"\nkey = "s3cret"\n', "name must be letters"),
        ('[[keys]]\nname = "a"\nkey = "s3cret two"\n', "without spaces"),
        ('[[keys]]\nname = "a"\nsha256 = "s3cret"\n', "64 hexadecimal"),
        ('[[keys]]\nname = "a"\nkey = "s3cret"\nmax_request = 1\n', "Did you mean 'max_requests'"),
        ('[[keys]]\nname = "a"\nkey = "s3cret"\nmax_requests = 0\n', "max_requests"),
        ('[[keys]]\nname = "a"\nkey = "s3cret"\nmodels = "x"\n', "models"),
        ('[[keys]]\nname = "a"\nkey = "1"\n[[keys]]\nname = "a"\nkey = "2"\n', "one name"),
        ('[[keys]]\nname = "a"\nkey = "1"\n[[keys]]\nname = "b"\nkey = "1"\n', "the same"),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match="--api-keys") as refused:
        read_api_keys(written(tmp_path, text))
    assert says in str(refused.value)
    assert "s3cret" not in str(refused.value).replace(str(tmp_path), "")


def test_a_missing_file_and_both_kinds(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_api_keys(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="either"):
        Settings(api_key="k", api_keys=ApiKeys(written(tmp_path, TWO)))
