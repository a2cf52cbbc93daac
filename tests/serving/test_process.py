"""A real process: OpenAI's client, signals, and what the command line refuses."""

import base64
import io
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from PIL import Image

from tests.helpers.command_line import COMMAND, Invoke

pytestmark = pytest.mark.slow  # more than five seconds together

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


def test_sigterm_waits_for_what_runs(server: tuple[subprocess.Popen[str], str]) -> None:
    process, address = server
    client = openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0)
    own = {"seed": 1, "sampler": "ddim", "num_inference_steps": 100}
    events = iter(client.images.generate(prompt="bag", stream=True, partial_images=3, extra_body=own))
    assert next(events).type == "image_generation.partial_image"
    process.send_signal(signal.SIGTERM)
    assert [event.type for event in events][-1] == "image_generation.completed"
    assert process.wait(60) == 0


def test_a_killed_server_leaves_no_file(server: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    process, address = server
    client = openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0)
    stream = client.images.generate(prompt="bag", stream=True, partial_images=3, extra_body={"seed": 1})
    assert next(iter(stream)).type == "image_generation.partial_image"
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_on_a_terminal_it_names_the_page_and_its_log_is_readable(tmp_path: Path) -> None:
    import pty

    ours, terminal = pty.openpty()
    with subprocess.Popen([*COMMAND, "serve", "--lazy", "--port", "0"], cwd=tmp_path, stderr=terminal) as process:
        os.close(terminal)
        with open(ours, encoding="utf-8") as screen:
            first, to_open, last = (screen.readline().rstrip() for _ in range(3))
            address = to_open.split()[1]
            assert (first.split(",")[0], last) == ("ddim-edge listens on 127.0.0.1", "Ctrl-C stops it.")
            with urllib.request.urlopen(f"{address}/health") as answer:
                assert answer.status == 200
            assert re.fullmatch(r"\d\d:\d\d:\d\d  200  GET /health  [\d.e-]+ s", screen.readline().rstrip())
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0


_DEAD = """
from ddim_edge.serving import create_app
from ddim_edge.serving.server import listen, serve
app = create_app(["fashion-mnist"])
app.state.engine.engine_thread.turn = lambda: 1 / 0
listener = listen("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
raise SystemExit(serve(app, listener))
"""


def test_a_process_whose_engine_dies_ends_for_its_supervisor() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _DEAD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as dead:
        assert dead.stdout is not None
        address = f"http://127.0.0.1:{int(dead.stdout.readline())}/v1"
        with pytest.raises(openai.InternalServerError) as error:
            openai.OpenAI(base_url=address, api_key="any", max_retries=0).images.generate(prompt="bag")
        assert error.value.status_code == 503
        assert error.value.code == "engine_dead"
        assert dead.wait(60) == 1


def test_without_its_packages_it_names_the_extra(tmp_path: Path) -> None:
    code = "import sys; sys.modules['fastapi'] = None; from ddim_edge.cli import main; sys.exit(main(['serve']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, "pip install 'fastapi>=0.115' 'uvicorn" in done.stderr) == (2, True)
    assert len(done.stderr.splitlines()) == 1


def test_an_address_that_is_taken(invoke: Invoke) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert invoke("serve", "--port", taken.getsockname()[1]).failed_with("cannot listen", "--port")
    assert invoke("serve", "--host", "192.0.2.1", "--no-auth").failed_with("cannot listen", "--host")


def test_what_is_refused_at_start(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DDIM_EDGE_API_KEY", raising=False)
    assert invoke("serve", "--host", "0.0.0.0").failed_with("--api-key-file", "--no-auth")
    assert invoke("serve", "nowhere").failed_with("no model 'nowhere'")
    assert invoke("serve", "a=x", "a=y").failed_with("two models are called 'a'")
    assert invoke("serve", "--max-queue", "0").failed_with("max_queue")
    assert invoke("serve", "--drain", "nan").failed_with("drain_s")
    assert invoke("serve", "--root-path", "draw").failed_with("root_path")
    assert invoke("serve", "--max-json-kb", "2000").failed_with("--max-json-kb")
    assert invoke("serve", "--api-key-file", "nowhere").failed_with("cannot be read")
    assert invoke("serve", "--provider", "gpu").failed_with("provider 'gpu' is unknown")
    (tmp_path / "key").write_text(" \n")
    assert invoke("serve", "--api-key-file", tmp_path / "key").failed_with("the API key is empty")
