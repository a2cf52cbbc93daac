"""KServe's V2 protocol: arrays in, arrays out, asked by Triton's own client and byte for byte."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

import ddim_edge
from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.server import listen
from tests.helpers.array_bundles import CONDITION, array_model, write_array_bundle
from tests.helpers.policy_bundles import GOAL, STATE, observation, policy_json, write_policy
from tests.helpers.tiny_bundles import Array, write_bundle
from tests.serving.gate import Exchange, Gate

SHAPE, STEPS = (6, 2), {"seed": 3, "num_inference_steps": 4}
TOLD = np.arange(6, dtype=np.float32).reshape(2, 3)
BINARY = {"Inference-Header-Content-Length": "0"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of arrays, a policy, and a model of pictures."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "pictures": write_bundle(folder / "pictures"),
        "arrays": write_array_bundle(folder / "arrays", SHAPE, array_model(SHAPE, condition=3)),
        "push": write_policy(folder / "push"),
    }


@pytest.fixture(scope="module")
def client(folders: Mapping[str, Path]) -> Iterator[TestClient]:
    settings = Settings(max_models=3, max_json_bytes=5000, max_body_bytes=20_000)
    with TestClient(create_app(folders, settings)) as client:
        yield client


@pytest.fixture(scope="module")
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


def tensors(arrays: Mapping[str, Array], *, binary: bool = True) -> list[Any]:
    """The inputs of Triton's client."""
    made = []
    for name, array in arrays.items():
        made.append(InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)))
        made[-1].set_data_from_numpy(array, binary_data=binary)
    return made


def stacked(*seen: Mapping[str, Array]) -> dict[str, Array]:
    """Successive observations of one robot, (1, times, …) by name."""
    return {name: np.stack([each[name] for each in seen])[np.newaxis] for name in seen[0]}


def ask(client: TestClient, body: Mapping[str, Any], model: str = "arrays", **more: Any) -> Any:
    return client.post(f"/v2/models/{model}/infer", json=body, **more)


def named(array: Array, name: str = CONDITION, **changes: Any) -> dict[str, Any]:
    tensor = {"name": name, "shape": list(array.shape), "datatype": "FP32", "data": array.ravel().tolist()}
    return {**tensor, **changes}


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_arrays_are_those_of_python(
    triton: InferenceServerClient, folders: Mapping[str, Path], binary_in: bool, binary_out: bool
) -> None:
    outputs = [InferRequestedOutput("samples", binary_data=binary_out)]
    inputs = tensors({CONDITION: TOLD}, binary=binary_in)
    answer = triton.infer("arrays", inputs, outputs=outputs, request_id="seven", parameters=STEPS)
    pipeline = ddim_edge.load(folders["arrays"], "cpu")
    made = pipeline.generate(conditioning={CONDITION: TOLD}, seed=3, num_steps=4, batch_size=1)
    np.testing.assert_array_equal(answer.as_numpy("samples"), made.samples)
    told = answer.get_response()
    assert (told["model_name"], told["model_version"], told["id"]) == ("arrays", "1", "seven")
    assert json.loads(told["parameters"]["recipe"]) == {**made.recipe, "model": "arrays"}


def test_a_policy_decides_as_it_does_at_home(triton: InferenceServerClient, folders: Mapping[str, Path]) -> None:
    seen = [observation(index) for index in range(3)]
    policy = ddim_edge.load_policy(folders["push"], "cpu", seed=5, warm_up=False)
    first = policy.act(seen[0])
    policy.observe(seen[1])
    second = policy.act(seen[2])
    answer = triton.infer("push", tensors(stacked(seen[0])), parameters={"seed": 5})
    np.testing.assert_array_equal(answer.as_numpy("actions"), first[np.newaxis])
    answer = triton.infer("push", tensors(stacked(*seen[1:])), model_version="1", parameters={"seed": 5, "decision": 1})
    np.testing.assert_array_equal(answer.as_numpy("actions"), second[np.newaxis])
    told = answer.get_response()["parameters"]
    assert told == {"seed": 5, "decision": 1, "num_inference_steps": 10, "sampler": "ddim"}


def test_several_robots_have_seeds_in_a_row(triton: InferenceServerClient, folders: Mapping[str, Path]) -> None:
    seen = [observation(index) for index in range(3)]
    policy = ddim_edge.load_policy(folders["push"], "cpu", sampler="ddpm", num_steps=6, seed=8, warm_up=False)
    both = {name: np.stack([each[name] for each in seen]) for name in (STATE, GOAL)}
    given = {"seed": 8, "sampler": "ddpm", "num_inference_steps": 6}
    answer = triton.infer("push", tensors(both), parameters=given)
    np.testing.assert_allclose(answer.as_numpy("actions"), policy.act_many(seen), atol=1e-5)


def test_pictures_come_as_pixels(triton: InferenceServerClient, folders: Mapping[str, Path]) -> None:
    answer = triton.infer("pictures", [], parameters={**STEPS, "prompt": "cat", "n": 2})
    pipeline = ddim_edge.load(folders["pictures"], "cpu")
    made = pipeline.generate(labels=["cat"], num_images=2, seed=3, num_steps=4, batch_size=1)
    np.testing.assert_array_equal(answer.as_numpy("images"), made.images)


def test_what_triton_is_told_of_the_models(triton: InferenceServerClient) -> None:
    assert triton.is_server_ready()
    assert triton.is_model_ready("push", "1")
    assert "binary_tensor_data" in triton.get_server_metadata()["extensions"]
    told = triton.get_model_metadata("push")
    assert told["inputs"] == [
        {"name": STATE, "datatype": "FP32", "shape": [-1, 2, 3]},
        {"name": GOAL, "datatype": "FP32", "shape": [-1, 2, 2]},
    ]
    assert told["outputs"] == [{"name": "actions", "datatype": "FP32", "shape": [-1, 4, 2]}]
    told = triton.get_model_metadata("arrays")
    assert told["inputs"] == [{"name": CONDITION, "datatype": "FP32", "shape": [-1, 3]}]
    assert told["outputs"] == [{"name": "samples", "datatype": "FP32", "shape": [-1, *SHAPE]}]
    told = triton.get_model_metadata("pictures")
    assert (told["inputs"], told["versions"]) == ([], ["1"])
    assert told["outputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 8, 8, 1]}]


def test_without_a_seed_the_answer_names_one(client: TestClient) -> None:
    body = {"inputs": [named(array, name) for name, array in stacked(observation()).items()]}
    first, second = (ask(client, body, "push").json() for _ in range(2))
    assert first["outputs"][0]["data"] != second["outputs"][0]["data"]
    again = ask(client, {**body, "parameters": {"seed": first["parameters"]["seed"]}}, "push").json()
    assert again["outputs"] == first["outputs"]


@pytest.mark.parametrize(
    ("kind", "datatype"), [(np.float64, "FP64"), (np.float16, "FP16"), (np.int16, "INT16"), (np.uint8, "UINT8")]
)
def test_other_types_become_those_of_the_graph(triton: InferenceServerClient, kind: type, datatype: str) -> None:
    wanted = triton.infer("arrays", tensors({CONDITION: TOLD}), parameters=STEPS).as_numpy("samples")
    inputs = tensors({CONDITION: TOLD.astype(kind)})
    assert inputs[0].datatype() == datatype
    np.testing.assert_array_equal(triton.infer("arrays", inputs, parameters=STEPS).as_numpy("samples"), wanted)


def test_nested_lists_are_flat_ones(client: TestClient) -> None:
    flat = ask(client, {"inputs": [named(TOLD)], "parameters": STEPS}).json()
    nested = ask(client, {"inputs": [named(TOLD, data=TOLD.tolist())], "parameters": STEPS}).json()
    assert nested["outputs"] == flat["outputs"]


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


def test_requests_share_network_calls(folders: Mapping[str, Path]) -> None:
    app = create_app({"push": folders["push"]})
    gate, path = Gate(app.state.engine, "push"), "/v2/models/push/infer"
    inputs = [named(array, name) for name, array in stacked(observation()).items()]
    first, second = ({"inputs": inputs, "parameters": {"num_inference_steps": steps}} for steps in (4, 3))

    async def scenario() -> None:
        async with app.state.engine:
            long = Exchange(app, path, first)
            await asyncio.to_thread(gate.wait)
            short = Exchange(app, path, second)
            while app.state.engine.engine_thread.queued == 0:
                await asyncio.sleep(0)
            gate.let(4)
            await asyncio.gather(long.task, short.task)
            assert (long.status, short.status) == (200, 200)

    asyncio.run(scenario())
    assert gate.calls == [1, 2, 2, 2]


def test_who_goes_away_is_worked_for_no_longer(folders: Mapping[str, Path]) -> None:
    app = create_app({"push": folders["push"]})
    gate = Gate(app.state.engine, "push")
    inputs = [named(array, name) for name, array in stacked(observation()).items()]

    async def scenario() -> None:
        async with app.state.engine:
            exchange = Exchange(app, "/v2/models/push/infer", {"inputs": inputs})
            await asyncio.to_thread(gate.wait)
            exchange.leave()
            await asyncio.wait([exchange.task])
            gate.let()

    asyncio.run(scenario())
    assert gate.calls == [1]


def test_a_key_is_asked_for_in_kserves_form(folders: Mapping[str, Path]) -> None:
    with TestClient(create_app({"arrays": folders["arrays"]}, Settings(api_key="secret", preload=False))) as client:
        refused = ask(client, {"inputs": [named(TOLD)]})
        assert (refused.status_code, "the API key is missing" in refused.json()["error"]) == (401, True)
        assert client.get("/v2/health/live").status_code == 200
