"""The Python model of a repository, called as Triton's Python backend calls it."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.bundle.read import open_bundle
from ddim_edge.errors import ConfigError
from ddim_edge.triton.repository import write_repository

from .backend import Request  # before the model, which imports the backend's module

from ddim_edge.triton.python_model import TritonPythonModel  # isort: skip

Settings = dict[str, str]


def _arguments(repository: Path, name: str, settings: Settings) -> dict[str, str]:
    parameters = {key: {"string_value": value} for key, value in settings.items()}
    return {
        "model_name": name,
        "model_repository": str(repository / name),
        "model_version": "1",
        "model_config": json.dumps({"parameters": parameters}),
    }


@contextlib.contextmanager
def _model(repository: Path, name: str, **settings: str) -> Iterator[TritonPythonModel]:
    model = TritonPythonModel()
    model.initialize(_arguments(repository, name, {"provider": "cpu", **settings}))
    try:
        yield model
    finally:
        model.finalize()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    out = tmp_path_factory.mktemp("triton") / "repository"
    write_repository(open_bundle(tiny_bundle), out)
    return out


@pytest.fixture(scope="module")
def model(repository: Path) -> Iterator[TritonPythonModel]:
    with _model(repository, "tiny", max_rows="4") as opened:
        yield opened


def _rows_and_calls(model: TritonPythonModel) -> tuple[float, float]:
    """All rows so far, and the network calls that they were in."""
    value = model.engine.metrics.registry.get_sample_value
    labels = {"model": "tiny"}
    rows, calls = (value(f"ddim_edge_batch_rows_{what}", labels) or 0 for what in ("sum", "count"))
    return rows, calls


def test_partial_images_come_and_the_last_one_is_that_of_generate(model: TritonPythonModel, tiny_bundle: Path) -> None:
    request = Request(prompt="cat", seed=7, num_inference_steps=6, guidance_scale=2.0, partial_images=2)
    model.execute([request])
    responses = [response.outputs for response in request.sender.wait()]
    assert [bool(each["final"][0]) for each in responses] == [False, False, True]
    expected = ddim_edge.load(tiny_bundle, provider="cpu").generate(
        labels=["cat"], seed=7, num_steps=6, guidance_scale=2.0
    )
    np.testing.assert_array_equal(responses[-1]["image"], expected.images[0])
    assert (responses[0]["image"] != expected.images[0]).any()
    recipe = json.loads(responses[-1]["recipe"].tobytes())
    assert recipe == {**expected.recipe, "model": recipe["model"], "batch_size": 1, "index": 0}


def test_a_step_cache_is_passed_on(model: TritonPythonModel, tiny_bundle: Path) -> None:
    request = Request(prompt="cat", seed=7, sampler="ddim", num_inference_steps=9, cache="forecast:4")
    model.execute([request])
    (response,) = request.sender.wait()
    expected = ddim_edge.load(tiny_bundle, provider="cpu").generate(
        labels=["cat"], seed=7, sampler="ddim", num_steps=9, cache="forecast:4"
    )
    np.testing.assert_array_equal(response.outputs["image"], expected.images[0])
    assert json.loads(response.outputs["recipe"].tobytes())["cache"] == "forecast:4"


def test_several_images_of_one_request_have_their_indices(model: TritonPythonModel) -> None:
    request = Request(prompt="cat, dog", n=2, num_inference_steps=1)
    model.execute([request])
    found = {int(each.outputs["index"][0]) for each in request.sender.wait()}
    assert found == {0, 1}
    assert len({json.loads(each.outputs["recipe"].tobytes())["index"] for each in request.sender.responses}) == 2


def test_concurrent_requests_share_network_calls(model: TritonPythonModel) -> None:
    before = _rows_and_calls(model)
    requests = [Request(prompt=label, num_inference_steps=steps) for label, steps in (("cat", 900), ("dog", 600))]
    for request in requests:
        model.execute([request])
    assert all(response.error is None for request in requests for response in request.sender.wait())
    rows, calls = (now - then for now, then in zip(_rows_and_calls(model), before, strict=True))
    assert rows == 1500
    assert calls < 1500


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"prompt": "catt"}, "Did you mean 'cat'?"),
        ({"sead": 1}, "sead: unknown option"),
        ({"num_inference_steps": 2.5}, "num_inference_steps"),
        ({"output_format": "png"}, "output_format: this option is of /v1/images alone"),
        ({"labels": "cat"}, "labels: this option is of /v1/images alone"),
        ({"guidance_scale": float("nan")}, "guidance_scale"),
        ({"cache": "sometimes"}, "cache must be off, forecast"),
        ({"cache_threshold": 0.5}, "cache_threshold needs a cache"),
    ],
)
def test_a_bad_request_gets_an_error(model: TritonPythonModel, parameters: dict[str, Any], message: str) -> None:
    request = Request(**parameters)
    model.execute([request])
    (response,) = request.sender.wait()
    assert response.error is not None
    assert message in response.error.message
    assert response.error.code == "invalid"


def test_a_cancelled_request_ends(model: TritonPythonModel) -> None:
    request = Request(prompt="cat", n=10, num_inference_steps=1000, guidance_scale=2.0, partial_images=3)
    model.execute([request])
    assert request.sender.got_one.wait(60)
    request.sender.cancelled = True
    last = request.sender.wait()[-1]
    assert last.error is not None
    assert last.error.code == "cancel"
    assert not any(response.outputs["final"][0] for response in request.sender.responses[:-1])


def test_more_requests_than_the_queue_takes_get_an_error(repository: Path) -> None:
    requests = [Request(prompt="cat", n=4, num_inference_steps=300, guidance_scale=2.0) for _ in range(8)]
    with _model(repository, "tiny", max_queue="1", max_rows="2") as model:
        model.execute(requests)
        errors = [request.sender.wait()[-1].error for request in requests]
    assert {error.code for error in errors if error is not None} == {"unavailable"}
    assert any(error is None for error in errors)


def test_an_internal_error_ends_one_request_alone(
    model: TritonPythonModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    request = Request(prompt="cat")
    with monkeypatch.context() as patch:
        patch.setattr("ddim_edge.triton.answer.check_body", lambda *_: 1 / 0)
        model.execute([request])
        (response,) = request.sender.wait()
    assert response.error is not None
    assert (response.error.code, response.error.message) == ("internal", "internal error: see the server's log")
    assert "ZeroDivisionError" in caplog.text
    request = Request(prompt="cat", num_inference_steps=1)
    model.execute([request])
    assert request.sender.wait()[0].error is None


def test_the_settings_are_parameters_of_the_configuration(repository: Path) -> None:
    given = {"max_images": "2", "timeout_s": "7.5", "max_memory": "100GB", "EXECUTION_ENV_PATH": "/env.tar.gz"}
    with _model(repository, "tiny", **given) as model:
        settings = model.engine.settings
        assert (settings.max_images, settings.timeout_s, settings.max_memory) == (2, 7.5, "100GB")
        request = Request(prompt="cat", n=3)
        model.execute([request])
        (response,) = request.sender.wait()
        assert response.error is not None
        assert response.error.message == "n: this server makes at most 2 images a request"


def test_an_unknown_setting_is_named(repository: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'max_rows'"):
        TritonPythonModel().initialize(_arguments(repository, "tiny", {"max_row": "3"}))
