"""``ddim-edge inspect``: the same facts as text and as JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from ddim_edge.bundle.read import open_bundle
from tests.helpers.command_line import Invoke
from tests.helpers.hashing import count_reading, forget_in_process, keep_all_hashes, sha256_of
from tests.helpers.tiny_bundles import LABELS, NULL_CLASS, tiny_model, write_bundle, write_json


def test_inspect_as_json(invoke: Invoke, tiny_bundle: Path) -> None:
    outcome = invoke("inspect", tiny_bundle, "--json")
    assert (outcome.code, outcome.err, outcome.out.count("\n")) == (0, "", 1)
    facts = json.loads(outcome.out)
    assert facts["sha256"] == open_bundle(tiny_bundle).sha256
    assert (facts["sample_shape"], facts["labels"], facts["null_class"]) == ([1, 8, 8], list(LABELS), NULL_CLASS)
    (graph,) = facts["graphs"]
    assert (graph["name"], graph["bytes"]) == ("unet", (tiny_bundle / "unet" / "model.onnx").stat().st_size)
    assert graph["inputs"] == [
        {"name": "sample", "dtype": "float32", "shape": ["batch", 1, 8, 8]},
        {"name": "timestep", "dtype": "int64", "shape": ["batch"]},
        {"name": "class_labels", "dtype": "int64", "shape": ["batch"]},
    ]
    assert graph["outputs"] == [{"name": "out_sample", "dtype": "float32", "shape": ["batch", 1, 8, 8]}]
    assert facts["scheduler"] == {"sampler": "ddim"}


def test_inspect_as_text(invoke: Invoke, tiny_bundle: Path) -> None:
    text = invoke("inspect", tiny_bundle).out
    for part in (
        str(tiny_bundle),
        "sample  float32 (batch, 1, 8, 8)",
        "timestep  int64 (batch)",
        "out_sample  float32",
        "images of 8x8 pixels, 1 channel\n",
        "classes cat, dog, Ångström; guidance with the null class 3",
        "the network predicts the noise ε",
        "trained on 1000 timesteps, betas linear, visited in leading spacing",
        "eta 0 (deterministic), x_0 clipped to ±1",
    ):
        assert part in text


def test_inspect_names_operators_on_quantized_values(invoke: Invoke, new_bundle: Callable[..., Path]) -> None:
    model = tiny_model()
    model.graph.node.append(onnx.helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero_point"]))
    new_bundle(model)
    (graph,) = json.loads(invoke("inspect", "bundle", "--json").out)["graphs"]
    assert graph["quantized"] == {"DynamicQuantizeLinear": 1}
    assert ", quantized: 1 DynamicQuantizeLinear; values quantized at each call: on a CPU, 1.8 times slower" in (
        invoke("inspect", "bundle").out
    )


def test_inspect_says_what_another_scheduler_means(invoke: Invoke, new_bundle: Callable[..., Path]) -> None:
    keys = {"prediction_type": "v_prediction", "thresholding": True, "eta": 0.5, "beta_schedule": "squaredcos_cap_v2"}
    new_bundle(tiny_model(classes=False, half=True), labels=None, scheduler=keys, external=True)
    text = invoke("inspect", "bundle").out
    for part in (
        "sample  float16",
        "classes none; no null class, so no guidance",
        "the network predicts the velocity v",
        "betas squared cosine",
        "eta 0.5 (fresh noise at every step), x_0 thresholded at the quantile 0.995",
    ):
        assert part in text
    facts = json.loads(invoke("inspect", "bundle", "--json").out)
    files = list(Path("bundle/unet").glob("model.onnx*"))
    assert len(files) == 2
    assert facts["graphs"][0]["bytes"] == sum(path.stat().st_size for path in files)


def test_inspect_shows_the_bundled_model_without_an_argument(invoke: Invoke) -> None:
    assert json.loads(invoke("inspect", "--json").out)["model"] == "fashion-mnist"


def test_inspect_says_that_files_are_links_to_the_hugging_face_cache(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path
) -> None:
    assert json.loads(invoke("inspect", tiny_bundle, "--json").out)["linked_to"] is None
    repository = tmp_path / "models--me--mine"
    snapshot = write_bundle(repository / "snapshots" / "1", external=True)
    (repository / "blobs").mkdir()
    for number, path in enumerate(sorted(snapshot.glob("unet/model*"))):
        path.rename(repository / "blobs" / f"{number}")
        path.symlink_to(f"../../../blobs/{number}")
    text = invoke("inspect", snapshot).out
    assert f"its files are links to the Hugging Face cache: {(repository / 'blobs').resolve()}\n" in text
    assert invoke("run", snapshot, "--steps", "1", "--quiet").code == 0


def test_verify_reads_every_file_and_corrects_what_is_remembered(
    invoke: Invoke, new_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = new_bundle()
    graph = bundle / "unet" / "model.onnx"
    write_json(bundle / "export.json", {"files": {"unet/model.onnx": {"sha256": sha256_of(graph)}}})
    keep_all_hashes(monkeypatch, tmp_path / "cache")
    right = json.loads(invoke("inspect", bundle, "--json").out)["sha256"]
    (note,) = (tmp_path / "cache" / "hashes").iterdir()
    read = count_reading(monkeypatch)
    forget_in_process(monkeypatch)
    assert json.loads(invoke("inspect", bundle, "--json").out)["sha256"] == right
    assert read == []
    note.write_text(note.read_text().replace(sha256_of(graph), "0" * 64))
    forget_in_process(monkeypatch)
    assert json.loads(invoke("inspect", bundle, "--json", "--verify").out)["sha256"] == right
    assert read == [graph]
    assert sha256_of(graph) in note.read_text()
