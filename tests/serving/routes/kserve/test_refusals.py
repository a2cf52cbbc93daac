"""KServe's V2 protocol: what is refused, and in which words."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from ddim_edge.serving import Settings, create_app
from tests.helpers.array_bundles import write_array_bundle
from tests.helpers.policy_bundles import STATE, observation, policy_json, write_policy

from .asking import TOLD, ask, named, stacked

BINARY = {"Inference-Header-Content-Length": "0"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "global_cnd"}, "input 'global_cnd' is unknown. Did you mean 'global_cond'?"),
        ({"datatype": "FP33"}, "datatype 'FP33' is unknown. Did you mean 'FP32'?"),
        ({"datatype": "INT32", "data": [1.5] * 6}, "data must be INT32, and some of it is not"),
        ({"datatype": "UINT8", "data": [256] * 6}, "has numbers beyond UINT8"),
        ({"datatype": "BOOL", "data": [True] * 6}, "has the type bool, and the graph takes global_cond float32"),
        ({"shape": [2, "3"]}, "inputs.0.shape.1 must be a whole number, not '3'"),
        ({"shape": [3, 3]}, "data has 6 numbers in the shape [6], and shape says [3, 3]"),
        ({"shape": [3, 2]}, "has the shape (3, 2), and the graph takes global_cond float32 (batch, 3)"),
        ({"data": [[1.0], 2.0]}, "data must be a flat list, or nested as the shape [2, 3]"),
        ({"data": [1e300] * 6}, "has NaN or infinity, or numbers beyond float32"),
        ({"data": None}, "global_cond must have either data or the parameter binary_data_size"),
        ({"parameters": {"binary_data_size": 24}}, "must have either data or"),
        ({"parameters": {"shared_memory_region": "x"}}, "unknown parameter 'shared_memory_region'"),
        ({"dtype": "FP32"}, "dtype: unknown option; did you mean datatype?"),
    ],
)
def test_a_wrong_array_is_named(client: TestClient, changes: dict[str, Any], message: str) -> None:
    answer = ask(client, {"inputs": [named(TOLD, **changes)]})
    assert answer.status_code == 400, answer.text
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"inputs": None}, "inputs must be a list, not None"),
        ({"inputs": []}, "inputs: arrays also needs global_cond FP32 [-1, 3]"),
        ({"inputs": [named(TOLD), named(TOLD)]}, "inputs has global_cond twice"),
        ({"outputs": [{"name": "actions"}]}, "output 'actions' is unknown. Valid: samples."),
        ({"outputs": [{"name": "samples", "parameters": {"binary_data": 1}}]}, "binary_data must be true or false"),
        ({"parameters": {"num_steps": 3}}, "num_steps: unknown option; use num_inference_steps"),
        ({"parameters": {"num_inference_steps": 9999}}, "num_inference_steps: this server makes at most 1000"),
        ({"parameters": {"response_format": "url"}}, "response_format: this option is of /v1/images alone"),
        ({"parameters": {"guidance_scale": 2}}, "guidance_scale 2 needs a null class"),
        ({"parameters": {"n": 3}}, "has 2 rows, and there are 3 images"),
        ({"inputs": [named(np.zeros((300, 3)), data=[0] * 900)]}, "at most 256 rows of samples a request, not 300"),
    ],
)
def test_a_wrong_request_is_named(client: TestClient, body: dict[str, Any], message: str) -> None:
    answer = ask(client, {"inputs": [named(TOLD)], **body})
    assert answer.status_code == 400, answer.text
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters": {"seed": -1}}, "seed must be a whole number from 0 to"),
        ({"parameters": {"decision": 1.5}}, "decision must be a whole number"),
        ({"parameters": {"prompt": "push"}}, "prompt: unknown option"),
        ({"parameters": {"sampler": "dim"}}, "Did you mean 'ddim'?"),
        ({STATE: np.zeros((1, 3, 3))}, "give observation.state (robots, 1 to 2, 3)"),
        ({STATE: np.zeros((2, 3))}, "must be of as many robots and times"),
        ({STATE: np.full((1, 1, 3), 1e39)}, "observation.state has NaN or infinity: check the sensor"),
        ({"goal": np.zeros((1, 2))}, "input 'goal' is unknown"),
    ],
)
def test_a_wrong_observation_is_named(client: TestClient, changes: dict[str, Any], message: str) -> None:
    arrays = {**stacked(observation()), **{name: value for name, value in changes.items() if name != "parameters"}}
    inputs = [named(array, name, datatype="FP64") for name, array in arrays.items()]
    answer = ask(client, {"inputs": inputs, "parameters": changes.get("parameters")}, "push")
    assert answer.status_code == 400, answer.text
    assert message in answer.json()["error"]


def test_actions_beyond_the_trained_range_are_not_returned(tmp_path: Path) -> None:
    action = policy_json()["action"]
    narrow = {"mode": "mean_std", "mean": [0.0, 0.0], "std": [1.0, 1.0], "min": [-0.1, -0.1], "max": [0.1, 0.1]}
    folder = write_policy(tmp_path / "push", policy=policy_json(action={**action, "normalization": narrow}))
    with TestClient(create_app({"push": folder})) as client:
        body: dict[str, Any] = {"inputs": [named(array, name) for name, array in stacked(observation()).items()]}
        refused = ask(client, {**body, "parameters": {"seed": 1}}, "push")
        assert refused.status_code == 500
        assert "the trained range widened by 1.5: it was not returned" in refused.json()["error"]
        wider = ask(client, {**body, "parameters": {"seed": 1, "range_factor": 1000}}, "push")
        assert wider.status_code == 200


def contents(head: Mapping[str, Any], rest: bytes) -> tuple[bytes, dict[str, str]]:
    text = json.dumps(head).encode()
    return text + rest, {"Inference-Header-Content-Length": str(len(text))}


@pytest.mark.parametrize(
    ("size", "rest", "message"),
    [
        (24, bytes(23), "global_cond has 23 bytes of binary data, and its shape [2, 3] and datatype want 24"),
        (24, bytes(25), "1 bytes of binary data belong to no input"),
        (20, bytes(24), "has 20 bytes of binary data"),
        (-4, bytes(24), "binary_data_size must be a number of bytes"),
        ("24", bytes(24), "binary_data_size must be a number of bytes"),
    ],
)
def test_wrong_binary_data_is_named(client: TestClient, size: Any, rest: bytes, message: str) -> None:
    tensor = named(TOLD, parameters={"binary_data_size": size})
    del tensor["data"]
    body, headers = contents({"inputs": [tensor]}, rest)
    answer = client.post("/v2/models/arrays/infer", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert message in answer.json()["error"]


def test_bodies_have_limits(client: TestClient) -> None:
    path, large = "/v2/models/arrays/infer", json.dumps({"inputs": [named(TOLD)]}).encode().ljust(5001)
    assert "binary data" in client.post(path, content=large).json()["error"]
    told = client.post(path, content=large, headers={"Inference-Header-Content-Length": "5001"})
    assert (told.status_code, "binary data" in told.json()["error"]) == (413, True)
    assert client.post(path, content=bytes(20_001), headers=BINARY).status_code == 413
    assert "has 2 bytes" in client.post(path, content=b"{}", headers={"Inference-Header-Content-Length": "3"}).text
    assert client.post(path, content=b"{}", headers={"Content-Encoding": "gzip"}).status_code == 400
    many = {"inputs": [named(np.zeros((200, 3)), data=[0] * 600)], "parameters": {"num_inference_steps": 1}}
    assert "at most 256 rows" not in ask(client, many).text
    # Elsewhere, the header does not make a large body a small one.
    there = client.post("/v1/images/generations", content=bytes(5001), headers=BINARY)
    assert there.status_code == 413


def test_large_answers_are_for_binary_data(tmp_path: Path) -> None:
    folder = write_array_bundle(tmp_path / "volume", (32, 32, 33))
    with TestClient(create_app({"volume": folder})) as client:
        body: dict[str, Any] = {"inputs": [], "parameters": {"num_inference_steps": 1, "n": 2}}
        refused = ask(client, body, "volume")
        assert refused.status_code == 400
        assert "samples has 67584 numbers, and JSON takes 65536" in refused.json()["error"]
        body["parameters"]["binary_data_output"] = True
        answer = ask(client, body, "volume")
        assert answer.status_code == 200
        head = int(answer.headers["Inference-Header-Content-Length"])
        assert json.loads(answer.content[:head])["outputs"][0]["shape"] == [2, 32, 32, 33]
        assert len(answer.content) == head + 2 * 32 * 32 * 33 * 4


def test_errors_have_kserves_form(client: TestClient, triton: InferenceServerClient) -> None:
    for path, status in (("/v2/models/none/infer", 404), ("/v2/nothing", 404), ("/v2/models/arrays/versions/2", 404)):
        answer = client.post(path, content=b"{}")
        assert answer.status_code in (status, 405)
        assert isinstance(answer.json()["error"], str)
    with pytest.raises(InferenceServerException, match=r"^\[404\] model 'none' is unknown"):
        triton.infer("none", [])
    assert client.get("/v1/models/none").json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("model", ["arrays", "push"])
def test_the_image_api_says_where_arrays_are_made(client: TestClient, model: str) -> None:
    refused = client.post("/v1/images/generations", json={"model": model, "prompt": ""})
    assert refused.status_code == 400
    assert f"ask POST /v2/models/{model}/infer" in refused.json()["error"]["message"]
    assert client.post("/v1/jobs", json={"model": model, "prompt": ""}).status_code == 400
    assert [each["id"] for each in client.get("/v1/models").json()["data"]] == ["pictures"]


def test_a_key_is_asked_for_in_kserves_form(folders: Mapping[str, Path]) -> None:
    with TestClient(create_app({"arrays": folders["arrays"]}, Settings(api_key="secret", preload=False))) as client:
        refused = ask(client, {"inputs": [named(TOLD)]})
        assert (refused.status_code, "the API key is missing" in refused.json()["error"]) == (401, True)
        assert client.get("/v2/health/live").status_code == 200
