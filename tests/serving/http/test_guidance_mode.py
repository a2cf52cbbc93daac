"""The field ``guidance_mode``: in the recipe and in the picture, and its errors."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

import ddim_edge
from ddim_edge.serving.app import create_app

BODY = {"prompt": "cat", "sampler": "ddim", "num_inference_steps": 5, "seed": 3}
PATH = "/v1/images/generations"


@pytest.fixture(scope="module")
def client(tiny_bundle: Path) -> Any:
    with TestClient(create_app({"tiny": tiny_bundle})) as client:
        yield client


def test_the_recipe_has_it_and_it_is_another_picture(client: TestClient) -> None:
    made, plain = (
        client.post(PATH, json={**BODY, "guidance_scale": 0.6, **fields}).json()["data"][0]
        for fields in ({"guidance_mode": "cfg++"}, {"guidance_mode": "cfg"})
    )
    assert made["ddim_edge"]["guidance_mode"] == "cfg++"
    assert "guidance_mode" not in plain["ddim_edge"]
    assert made["b64_json"] != plain["b64_json"]
    assert ddim_edge.Request.from_json(made["ddim_edge"]).guidance_mode == "cfg++"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"guidance_mode": "cfg++", "guidance_scale": 2.0}, "cfg++ takes a guidance_scale from 0 to 1, not 2"),
        ({"guidance_mode": "cfg++", "sampler": "unipc"}, "the sampler is unipc"),
        ({"guidance_mode": "apg"}, "guidance_mode 'apg' is unknown"),
        ({"guidance_mode": 3}, "guidance_mode"),
    ],
)
def test_bad_fields_are_400(client: TestClient, fields: dict[str, Any], words: str) -> None:
    answer = client.post(PATH, json={**BODY, **fields})
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
