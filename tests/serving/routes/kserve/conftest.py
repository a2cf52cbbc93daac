"""A server of a model of arrays, of a policy and of a model of pictures, and its clients."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient
from tritonclient.http import InferenceServerClient

from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.server import listen
from tests.helpers.array_bundles import array_model, write_array_bundle
from tests.helpers.policy_bundles import write_policy
from tests.helpers.tiny_bundles import write_bundle

from .asking import SHAPE


@pytest.fixture(scope="package")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of arrays, a policy, and a model of pictures."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "pictures": write_bundle(folder / "pictures"),
        "arrays": write_array_bundle(folder / "arrays", SHAPE, array_model(SHAPE, condition=3)),
        "push": write_policy(folder / "push"),
    }


@pytest.fixture(scope="package")
def client(folders: Mapping[str, Path]) -> Iterator[TestClient]:
    settings = Settings(max_models=3, max_json_bytes=5000, max_body_bytes=20_000)
    with TestClient(create_app(folders, settings)) as client:
        yield client


@pytest.fixture(scope="package")
def triton(folders: Mapping[str, Path]) -> Iterator[InferenceServerClient]:
    """Triton's client of a server on a socket."""
    listener = listen("127.0.0.1", 0)
    app = create_app(folders, Settings(max_models=3))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    with InferenceServerClient(f"127.0.0.1:{listener.getsockname()[1]}") as client:
        yield client
    server.should_exit = True
    thread.join(60)
