"""What the log contains."""

import io
import json
import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ddim_edge.errors import BundleError, ConfigError
from ddim_edge.serving import create_app
from ddim_edge.serving.logs import PromptlessFormatter, ReadableFormatter
from ddim_edge.text.prompt import Prompt


def formatted(error: Exception) -> str:
    try:
        try:
            raise KeyError("a secret prompt")
        except KeyError as cause:
            raise error from cause
    except Exception as raised:
        record = logging.LogRecord("any", logging.ERROR, "", 0, "failed", None, (type(raised), raised, None))
        record.exc_info = (type(raised), raised, raised.__traceback__)
        return PromptlessFormatter("%(message)s").format(record)


def test_a_traceback_does_not_quote_a_prompt() -> None:
    text = formatted(ConfigError("'a secret prompt' is wrong"))
    assert "secret" not in text.replace('raise KeyError("a secret prompt")', "")
    assert ("KeyError" in text, "ddim_edge.errors.ConfigError" in text, "in formatted" in text) == (True,) * 3


def test_a_message_without_input_stays() -> None:
    assert "unet/model.onnx is broken" in formatted(BundleError("unet/model.onnx is broken"))


@pytest.mark.parametrize("field", ["text", "negative"])
@pytest.mark.parametrize("prompt", ["(secret:1..2)", "(secret:9999)"])
def test_wrong_weights_are_refused_with_the_request(field: str, prompt: str) -> None:
    with pytest.raises(ConfigError, match="weight"):
        Prompt(**{"text": "any", field: prompt}, weighted=True)  # type: ignore[arg-type]
    assert Prompt(**{"text": "any", field: prompt}).weighted is False  # type: ignore[arg-type]


def test_an_unexpected_error_is_logged_without_the_prompt(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(PromptlessFormatter())
    log = logging.getLogger("ddim_edge.serving")
    monkeypatch.setattr(log, "handlers", [handler])
    app = create_app({"tiny": tiny_bundle})

    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError("secret".upper())

    monkeypatch.setattr(app.state.engine.catalogue, "find", fail)
    answer = TestClient(app).post("/v1/images/generations", json={"prompt": "cat"})
    assert answer.status_code == 500
    assert ("RuntimeError" in written.getvalue(), "SECRET" in written.getvalue()) == (True, False)


@pytest.mark.parametrize(
    ("line", "readable"),
    [
        ({"method": "GET", "path": "/", "status": 200, "seconds": 0.0012}, "200  GET /  0.0012 s"),
        (
            {"method": "POST", "path": "/v1/jobs", "status": 429, "seconds": 1, "key": "alice", "reason": "key_limit"},
            "429  POST /v1/jobs  1 s  key alice  reason key_limit",
        ),
        ({"job": "a1", "status": "done", "seconds": 75.25}, "done  job a1  75.2 s"),
        ({"method": "GET", "path": "/\x1b[2J\x9b", "status": 404, "seconds": 0}, r"404  'GET /\x1b[2J\x9b'  0 s"),
    ],
)
def test_a_terminal_gets_readable_lines(line: dict[str, object], readable: str) -> None:
    record = logging.LogRecord("any", logging.INFO, "", 0, json.dumps(line), None, None)
    time, _, rest = ReadableFormatter().format(record).partition("  ")
    assert (len(time), rest) == (len("12:00:00"), readable)
