"""KServe's V2 protocol: arrays in, arrays out, asked by Triton's own client and as JSON."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from fastapi.testclient import TestClient
from tritonclient.http import InferenceServerClient, InferRequestedOutput

import ddim_edge
from ddim_edge.generation.requests.step_cache import ImageCalls
from ddim_edge.serving import create_app
from ddim_edge.serving.http.infer_body import Infer
from ddim_edge.serving.http.infer_response import infer_response, outputs_from
from ddim_edge.serving.scheduling.async_engine import Ticket
from ddim_edge.serving.scheduling.submission import ImageDone
from tests.helpers.array_bundles import CONDITION, array_model, write_array_bundle
from tests.helpers.policy_bundles import GOAL, STATE, observation

from .asking import SHAPE, STEPS, TOLD, ask, named, stacked, tensors


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


def test_pictures_may_be_made_from_arrays(tmp_path: Path) -> None:
    folder = write_array_bundle(tmp_path / "told", (1, 8, 8), array_model((1, 8, 8), condition=3))
    with TestClient(create_app({"told": folder})) as client:
        answer = ask(client, {"inputs": [named(TOLD)], "parameters": STEPS}, "told").json()["outputs"][0]
        refused = client.post("/v1/images/generations", json={"prompt": ""})
    made = ddim_edge.load(folder, "cpu").generate(conditioning={CONDITION: TOLD}, seed=3, num_steps=4, batch_size=1)
    assert (answer["name"], answer["datatype"], answer["shape"]) == ("images", "UINT8", [2, 8, 8, 1])
    np.testing.assert_array_equal(np.reshape(answer["data"], answer["shape"]), made.images)
    assert "ask POST /v2/models/told/infer" in refused.json()["error"]["message"]


class Heard:
    """A request whose images come in another order, and of which one is unsafe."""

    async def __aiter__(self) -> AsyncIterator[ImageDone]:
        for index in (1, 0):
            yield ImageDone(index, np.full((2, 2, 1), index, np.uint8), ImageCalls(1, 0), is_safe=index == 0)


def test_what_a_safety_checker_says_is_an_output() -> None:
    outputs = asyncio.run(outputs_from(cast(Ticket, Heard()), "images"))
    assert outputs["images"][:, 0, 0, 0].tolist() == [0, 1]
    answer = infer_response("m", Infer(None, {}, {}, {"is_safe": False}, True), {}, outputs)
    (told,) = json.loads(bytes(answer.body))["outputs"]
    assert told == {"name": "is_safe", "datatype": "BOOL", "shape": [2], "data": [True, False]}


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
