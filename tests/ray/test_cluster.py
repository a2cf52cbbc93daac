"""Which clusters are refused, and how many workers they hold."""

import importlib.util
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from ddim_edge.errors import ConfigError
from ddim_edge.ray.cluster import check_ray, num_workers


@pytest.mark.parametrize("address", ["", "host", "host:", ":6379", "host:x", "host:70000", "ray://host:10001"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="no address of a Ray cluster"):
        check_ray(address)


def test_an_address_where_nothing_listens_is_refused() -> None:
    with socket.socket() as bound:  # it does not listen
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(ConfigError, match="no Ray cluster at"):
            check_ray(f"127.0.0.1:{bound.getsockname()[1]}")


def test_a_server_of_another_kind_is_refused() -> None:
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    Thread(target=server.handle_request, daemon=True).start()
    with pytest.raises(ConfigError, match="another kind of server answers"):
        check_ray(f"127.0.0.1:{server.server_port}")
    server.server_close()


def test_auto_is_the_address_in_rays_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"no Ray cluster at '127\.0\.0\.1:1'"):
        check_ray("auto")


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"Ray is not installed: pip install 'ray\["):
        check_ray("auto")


def _node(alive: bool = True, **resources: float) -> dict[str, object]:
    return {"Alive": alive, "Resources": resources}


def test_workers_fit_on_single_machines() -> None:
    nodes = [_node(CPU=3.0), _node(CPU=4.0), _node(alive=False, CPU=64.0), _node()]
    assert num_workers(nodes, 2, 0) == 3
    assert num_workers([_node(CPU=8.0, GPU=1.0), _node(CPU=8.0)], 2, 1) == 1


def test_a_cluster_that_is_too_small_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"has 8 CPUs .*largest has 4 CPUs"):
        num_workers([_node(CPU=4.0)] * 10, 8, 0)
