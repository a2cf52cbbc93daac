"""Host names, several keys, and a proxy in front."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ddim_edge.errors import ConfigError
from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.settings import LOOPBACK, hosts_for
from tests.serving.live import read_response, request, running


@pytest.mark.parametrize(
    ("address", "key", "allowed", "names"),
    [
        ("127.0.0.1", None, (), {*LOOPBACK}),
        ("127.0.0.1", "key", ("draw.example",), {*LOOPBACK, "draw.example"}),
        ("0.0.0.0", "key", (), None),
        ("0.0.0.0", "key", ("draw.example",), {*LOOPBACK, "0.0.0.0", "draw.example"}),
        ("0.0.0.0", None, (), {*LOOPBACK, "0.0.0.0"}),
    ],
)
def test_only_a_key_allows_any_name(
    address: str, key: str | None, allowed: tuple[str, ...], names: set[str] | None
) -> None:
    found = hosts_for(address, key, allowed)
    assert (None if found is None else set(found)) == names


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("192.168.1.5:8000", 200),
        ("[fe80::1]:8000", 200),
        ("draw.example", 200),
        ("Draw.Example:80", 200),
        ("evil.example", 403),
        ("192.168.1.5.evil.example", 403),
    ],
)
def test_addresses_and_allowed_names(tiny_bundle: Path, host: str, status: int) -> None:
    settings = Settings(hosts=hosts_for("0.0.0.0", None, ["Draw.example"]))
    answer = TestClient(create_app({"tiny": tiny_bundle}, settings)).get("/v1/models", headers={"Host": host})
    assert answer.status_code == status
    assert status == 200 or "--allowed-host" in answer.json()["error"]["message"]


def test_a_star_allows_any_name(tiny_bundle: Path) -> None:
    client = TestClient(create_app({"tiny": tiny_bundle}, Settings(hosts=("*",))))
    assert client.get("/v1/models", headers={"Host": "any.example"}).status_code == 200


def test_each_line_is_a_key(tiny_bundle: Path) -> None:
    settings = Settings(api_key="first\n\n second \r\nthird\n")
    assert "second" not in repr(settings)
    client = TestClient(create_app({"tiny": tiny_bundle}, settings))
    for key, status in {"first": 200, "second": 200, "third": 200, "fourth": 401, "first\n\n second": 401}.items():
        answer = client.get("/v1/models", headers={b"Authorization": f"Bearer {key}".encode()})
        assert answer.status_code == status, key


@pytest.mark.parametrize("key", [" \n", "two words", "schlüssel"])
def test_keys_that_no_client_could_send(key: str) -> None:
    with pytest.raises(ConfigError, match="API key"):
        Settings(api_key=key)


@pytest.mark.parametrize("path", ["draw", "/draw/", "/"])
def test_a_wrong_root_path(path: str) -> None:
    with pytest.raises(ConfigError, match="root_path"):
        Settings(root_path=path)


@pytest.mark.parametrize(("trusted", "scheme"), [("127.0.0.1", "https"), ("10.0.0.1", "http")])
def test_behind_a_proxy(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, trusted: str, scheme: str) -> None:
    settings = Settings(root_path="/draw", forwarded_allow_ips=trusted)
    body = b'{"prompt": "cat", "num_inference_steps": 1, "response_format": "url"}'
    with running(create_app({"tiny": tiny_bundle}, settings), monkeypatch) as server, server.connect() as proxy:
        proxy.sendall(request("POST", "/v1/images/generations", body, "X-Forwarded-Proto: https"))
        status, answer = read_response(proxy)
        assert status == 200
        assert answer["data"][0]["url"].startswith(f"{scheme}://localhost/draw/images/")
        proxy.sendall(request("GET", "/health/ready"))
        assert read_response(proxy)[0] == 200
