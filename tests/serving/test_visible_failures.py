"""What fails is seen: in the metrics, the log, and the readiness of a model."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ddim_edge.errors import PredictionError
from ddim_edge.serving import Settings, create_app
from tests.helpers.tiny_bundles import tiny_model, write_bundle
from tests.serving.routes.test_jobs import ended

ILL = {"labels": [2], "num_inference_steps": 4}


@pytest.fixture
def access(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level("INFO", "ddim_edge.access")
    logger = logging.getLogger("ddim_edge.access")
    before, logger.propagate = logger.propagate, True
    yield caplog
    logger.propagate = before


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(record.message) for record in caplog.records if record.name == "ddim_edge.access"]


def rejected(client: TestClient, reason: str) -> float:
    name = f'ddim_edge_rejected_total{{reason="{reason}"}}'
    return sum(float(line.split()[-1]) for line in client.get("/metrics").text.splitlines() if line.startswith(name))


def test_a_stream_that_ends_in_an_error(tmp_path: Path, access: pytest.LogCaptureFixture) -> None:
    folder = write_bundle(tmp_path / "ill", tiny_model(nan_at=(500, 2)))
    with TestClient(create_app({"ill": folder})) as client:
        answer = client.post("/v1/images/generations", json={**ILL, "stream": True})
        assert answer.status_code == 200
        assert "event: error" in answer.text
        assert rejected(client, "model_failed") == 1
    stream = lines(access)[0]
    assert (stream["status"], stream["reason"]) == (200, "model_failed")
    assert "unet returned NaN" in access.text


def test_a_job_that_fails(tmp_path: Path, access: pytest.LogCaptureFixture) -> None:
    folder = write_bundle(tmp_path / "ill", tiny_model(nan_at=(500, 2)))
    with TestClient(create_app({"ill": folder})) as client:
        made = client.post("/v1/jobs", json=ILL, headers={"X-Request-Id": "mine"})
        assert ended(client, made.headers["Location"])["status"] == "failed"
        well = client.post("/v1/jobs", json={**ILL, "labels": [1]})
        assert ended(client, well.headers["Location"])["status"] == "done"
        text = client.get("/metrics").text
        assert rejected(client, "model_failed") == 1
    assert 'ddim_edge_jobs_total{model="ill",status="failed"} 1.0' in text
    assert 'ddim_edge_jobs_total{model="ill",status="done"} 1.0' in text
    failed, done = [line for line in lines(access) if "job" in line]
    assert (failed["status"], failed["reason"], failed["request_id"]) == ("failed", "model_failed", "mine")
    assert failed["job"] == made.json()["id"]
    assert (done["status"], "reason" in done) == ("done", False)


def test_an_error_of_ours_in_a_stream_or_a_job_has_its_traceback_in_the_log(
    tiny_bundle: Path, access: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise RuntimeError("the encoder is out of order")

    monkeypatch.setattr("ddim_edge.serving.http.encoding.encode_image", fail)
    body = {"prompt": "cat", "num_inference_steps": 2}
    with TestClient(create_app({"tiny": tiny_bundle})) as client:
        assert "internal_error" in client.post("/v1/images/generations", json={**body, "stream": True}).text
        job = client.post("/v1/jobs", json=body)
        assert ended(client, job.headers["Location"])["error"]["code"] == "internal_error"
        monkeypatch.undo()
        assert client.post("/v1/images/generations", json=body).status_code == 200
    faults = [record for record in access.records if record.name == "ddim_edge.serving"]
    assert len(faults) == 2
    assert all(record.exc_info for record in faults)


def test_a_preview_that_cannot_be_decoded_is_an_error_of_who_looks(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise PredictionError("vae_decoder returned NaN or infinity")

    app = create_app({"tiny": tiny_bundle})
    with TestClient(app) as client:
        monkeypatch.setattr(app.state.engine.scheduler, "estimates", fail)
        job = client.post("/v1/jobs", json={"prompt": "cat", "num_inference_steps": 1000, "n": 10}).headers["Location"]
        answer = client.get(f"{job}?preview=true")
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "model_failed")
        assert client.get(job).json()["status"] in ("queued", "running")
        assert client.delete(job).status_code == 200


def test_a_model_that_cannot_run_is_not_ready(tmp_path: Path) -> None:
    good, bad, gone = (write_bundle(tmp_path / name) for name in ("good", "bad", "gone"))
    app = create_app({folder.name: folder for folder in (good, bad, gone)}, Settings(max_models=1))
    graph = bad / "unet" / "model.onnx"
    contents = graph.read_bytes()
    with TestClient(app) as client:
        ready = [client.get(f"/v2/models/{name}/ready").status_code for name in ("good", "bad", "gone")]
        assert ready == [200, 200, 200]
        (gone / "unet" / "model.onnx").unlink()
        assert client.get("/v2/models/gone/ready").status_code == 503
        graph.write_bytes(contents[:-1] + b"\x99" * 9)
        body = {"model": "bad", "prompt": "cat", "num_inference_steps": 1}
        assert client.post("/v1/images/generations", json=body).status_code == 500
        answer = client.get("/v2/models/bad/ready")
        assert (answer.status_code, answer.json()["status"]) == (
            503,
            "the model cannot be loaded: see the server's log",
        )
        graph.write_bytes(contents)
        assert client.post("/v1/images/generations", json=body).status_code == 200
        assert client.get("/v2/models/bad/ready").status_code == 200
