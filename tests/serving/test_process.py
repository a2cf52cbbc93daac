"""A real process: OpenAI's client, signals, and what the command line refuses."""

import base64
import io
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from PIL import Image

from ..conftest import COMMAND, Invoke

KEY = "a-key"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the address that it says it listens on."""
    command = [*COMMAND, "serve", "--port", "0"]
    env = os.environ | {"DDIM_EDGE_API_KEY": KEY}
    with subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = process.stderr.readline().split()[-1]
        yield process, address
        if process.poll() is None:
            process.kill()


def test_openais_client_and_sigterm(server: tuple[subprocess.Popen[str], str]) -> None:
    process, address = server
    client = openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0)
    assert [model.id for model in client.models.list()] == ["fashion-mnist"]
    own = {"num_inference_steps": 4, "seed": 1}
    made = client.images.generate(prompt="sneaker", n=2, extra_body=own)
    assert made.data is not None
    pictures = [base64.b64decode(image.b64_json or "") for image in made.data]
    assert [Image.open(io.BytesIO(picture)).size for picture in pictures] == [(28, 28)] * 2
    events = list(client.images.generate(prompt="sneaker", stream=True, partial_images=2, extra_body=own))
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    last = Image.open(io.BytesIO(base64.b64decode(events[-1].b64_json)))
    assert last.tobytes() == Image.open(io.BytesIO(pictures[0])).tobytes()
    edited = client.images.edit(image=pictures[0], prompt="bag", extra_body=own)
    assert edited.data is not None
    with pytest.raises(openai.BadRequestError, match="Did you mean 'sneaker'"):
        client.images.generate(prompt="sneakr")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="other").models.list()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert process.stderr is not None
    log = process.stderr.read()
    assert '"path": "/v1/images/generations"' in log
    assert KEY not in log
    assert "sneaker" not in log


def test_a_killed_server_leaves_no_file(server: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    process, address = server
    client = openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0)
    stream = client.images.generate(prompt="bag", stream=True, partial_images=3, extra_body={"seed": 1})
    assert next(iter(stream)).type == "image_generation.partial_image"
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_at_start(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DDIM_EDGE_API_KEY", raising=False)
    assert invoke("serve", "--host", "0.0.0.0").failed_with("--api-key-file", "--no-auth")
    assert invoke("serve", "nowhere").failed_with("no model 'nowhere'")
    assert invoke("serve", "a=x", "a=y").failed_with("two models are called 'a'")
    assert invoke("serve", "--max-queue", "0").failed_with("max_queue")
