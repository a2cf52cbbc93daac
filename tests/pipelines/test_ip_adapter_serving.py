"""The server takes images for IP-Adapters as files of a form, alone or beside a picture to change."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from ddim_edge.serving import Settings, create_app

from .conftest import Family
from .test_ip_adapters import PICTURES, SCALES

pytestmark = pytest.mark.slow  # a network is traced with adapters

OPTIONS: dict[str, Any] = {"prompt": "a red cat", "seed": 5, "num_steps": 2, "guidance_scale": 3.0}
FORM = {"prompt": "a red cat", "seed": "5", "num_inference_steps": "2", "guidance_scale": "3"}
NAMES = ("ip_adapter_image", "ip_adapter_image_1", "ip_adapter_image_2")


@pytest.fixture(scope="module")
def client(adapted: Family) -> Iterator[TestClient]:
    with TestClient(create_app({"adapted": adapted.bundle}, Settings(provider="cpu"))) as client:
        yield client


def png(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


FILES = dict(zip(NAMES, map(png, PICTURES), strict=True))


def post(client: TestClient, files: dict[str, bytes], **fields: Any) -> Any:
    return client.post("/v1/images/edits", files=files, data={**FORM, **fields})


def test_images_and_scales_give_the_pipelines_image(client: TestClient, adapted: Family) -> None:
    answer = post(client, FILES, ip_adapter_scale=[str(scale) for scale in SCALES])
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["data"]
    wanted = adapted.pipeline.generate(**OPTIONS, ip_adapter_images=PICTURES, ip_adapter_scale=SCALES).images[0]
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(item["b64_json"]))))
    np.testing.assert_array_equal(found, wanted)
    assert item["ddim_edge"]["ip_adapter_scale"] == SCALES
    assert client.post("/v1/images/generations", json={"prompt": "a", "num_inference_steps": 1}).status_code == 200


@pytest.mark.parametrize(
    ("files", "fields", "words"),
    [
        ({NAMES[0]: FILES[NAMES[0]]}, {}, "the model has 3 IP-Adapters, not 1"),
        ({**FILES, NAMES[1]: b"no picture"}, {}, "ip_adapter_image: not a picture"),
        (FILES, {"ip_adapter_scale": ["1", "2"]}, "ip_adapter_scale has 2 numbers"),
        ({**FILES, "mask": FILES[NAMES[0]]}, {}, "mask: it needs the image"),
        ({"mask": FILES[NAMES[0]]}, {}, "send the picture as a file"),
    ],
)
def test_bad_input(client: TestClient, files: dict[str, bytes], fields: dict[str, Any], words: str) -> None:
    answer = post(client, files, **fields)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
