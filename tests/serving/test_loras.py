"""LoRAs of requests on the server: chosen for each, refused in one line, and part of what is kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

import ddim_edge
from ddim_edge.lora.safetensors import write_safetensors
from ddim_edge.serving.app import create_app
from ddim_edge.serving.settings import Settings
from tests.helpers.command_line import Invoke
from tests.helpers.lora_bundles import changes_of, write_lora_bundle

PATH = "/v1/images/generations"
BODY = {"num_inference_steps": 3, "seed": 2}


@pytest.fixture
def bundle(tmp_path: Path, invoke: Invoke) -> Path:
    folder = write_lora_bundle(tmp_path / "slots")
    for seed, name in enumerate("ab"):
        (up, down) = changes_of(seed, 2)["wide"]
        file = tmp_path / f"{name}.safetensors"
        write_safetensors(file, {"unet.wide.lora_B.weight": up, "unet.wide.lora_A.weight": down}, {})
        assert invoke("lora", file, folder).code == 0
    return folder


@pytest.fixture
def client(bundle: Path) -> Iterator[TestClient]:
    with TestClient(create_app({"slots": bundle}, Settings(cache_results=2**20))) as client:
        yield client


def test_each_request_has_its_own(client: TestClient, bundle: Path) -> None:
    def made(**fields: Any) -> tuple[Any, str]:
        answer = client.post(PATH, json={**BODY, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"][0], answer.headers["X-Cache"]

    choices: list[dict[str, Any]] = [
        {},
        {"loras": [{"name": "a"}]},
        {"loras": [{"name": "a", "scale": 0.5}, {"name": "b", "scale": -1}]},
    ]
    items = [made(**fields) for fields in choices]
    assert [cached for _, cached in items] == ["miss"] * 3
    assert [made(**fields)[1] for fields in choices] == ["hit"] * 3
    assert len({item["b64_json"] for item, _ in items}) == 3
    recipe = items[2][0]["ddim_edge"]
    assert [(entry["name"], entry["scale"]) for entry in recipe["loras"]] == [("a", 0.5), ("b", -1)]
    request = ddim_edge.load(bundle, "cpu").request(num_images=1, seed=2, num_steps=3, loras={"a": 0.5, "b": -1})
    assert [lora._asdict() for lora in request.loras] == recipe["loras"]


@pytest.mark.parametrize(
    ("loras", "status", "message"),
    [
        ([{"name": "c"}], 400, "LoRA of slots 'c' is unknown"),
        ([{"name": "a"}, {"name": "a"}], 400, "loras: a name is there twice"),
        ([{"name": "a", "scale": 1e9}], 400, "1000"),
        ([{"name": "a", "weight": 1}], 400, "loras"),
        ("a", 400, "loras"),
    ],
)
def test_wrong_loras(loras: Any, status: int, message: str, client: TestClient) -> None:
    answer = client.post(PATH, json={**BODY, "loras": loras})
    assert answer.status_code == status, answer.text
    assert message in answer.json()["error"]["message"]


def test_a_model_without_slots(tiny_bundle: Path) -> None:
    with TestClient(create_app({"tiny": tiny_bundle})) as client:
        answer = client.post(PATH, json={**BODY, "prompt": "cat", "loras": [{"name": "a"}]})
    assert answer.status_code == 400
    assert "tiny has no LoRA slots" in answer.json()["error"]["message"]
