"""A server whose model's files are replaced or overwritten."""

from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

import ddim_edge
from ddim_edge.bundle.read import open_bundle
from ddim_edge.files import write_file
from ddim_edge.serving import Settings, create_app
from tests.helpers.tiny_bundles import write_bundle
from tests.serving.answers import pixels


def test_a_recipe_names_the_model_that_made_the_image_also_after_its_files_were_replaced(tmp_path: Path) -> None:
    folders = {name: write_bundle(tmp_path / name) for name in ("one", "other")}
    graph = folders["one"] / "unet" / "model.onnx"
    hashes = []
    with TestClient(create_app(folders, Settings(max_models=1))) as client:

        def ask(model: str) -> dict[str, Any]:
            body = {"prompt": "cat", "model": model, "seed": 1, "num_inference_steps": 2}
            item: dict[str, Any] = client.post("/v1/images/generations", json=body).json()["data"][0]
            return item

        for gain in (0.5, 0.25):
            replacement = graph.read_bytes().replace(np.float32(0.5).tobytes(), np.float32(gain).tobytes())
            before = open_bundle(folders["one"]).sha256
            assert ask("one")["ddim_edge"]["model_sha256"] == before  # still the open one at the second turn
            write_file(graph, replacement)
            hashes.append(open_bundle(folders["one"]).sha256)
            ask("other")  # which unloads it
            item = ask("one")
            assert item["ddim_edge"]["model_sha256"] == hashes[-1]
            made = ddim_edge.load(folders["one"], "cpu").generate(labels=["cat"], seed=1, num_steps=2).images[0]
            np.testing.assert_array_equal(pixels(item["b64_json"]), made[:, :, 0])
    assert hashes[0] != hashes[1]


def test_a_model_whose_file_was_overwritten_is_loaded_again(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "one", external=True)
    body = {"prompt": "cat", "seed": 1, "num_inference_steps": 2}
    with TestClient(create_app({"one": folder})) as client:
        before = client.post("/v1/images/generations", json=body).json()["data"][0]
        data = folder / "unet" / "model.onnx_data"
        data.write_bytes(data.read_bytes().replace(np.float32(0.5).tobytes(), np.float32(0.25).tobytes()))
        after = client.post("/v1/images/generations", json=body).json()["data"][0]
    assert before["ddim_edge"]["model_sha256"] != after["ddim_edge"]["model_sha256"] == open_bundle(folder).sha256
    made = ddim_edge.load(folder, "cpu").generate(labels=["cat"], seed=1, num_steps=2).images[0]
    np.testing.assert_array_equal(pixels(after["b64_json"]), made[:, :, 0])
