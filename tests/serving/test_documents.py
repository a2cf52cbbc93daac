"""The examples of the README and of docs/server.md run as they stand."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.command_line import COMMAND
from tests.helpers.policy_bundles import write_policy

ROOT = Path(__file__).parents[2]


def examples(document: str, word: str, language: str = "") -> list[str]:
    """The code blocks of a document that hold ``word``."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / document).read_text(), re.DOTALL | re.MULTILINE)
    return [code for found, code in blocks if found == language and word in code]


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    env = {name: value for name, value in os.environ.items() if name != "DDIM_EDGE_API_KEY"}
    command = [*COMMAND, "serve", "--port", "0"]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        yield process.stderr.readline().rpartition(":")[2].strip()
        process.terminate()
        process.stderr.read()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_curl_line_gives_a_picture(port: str, tmp_path: Path) -> None:
    (line,) = examples("README.md", "curl -s", "sh")
    assert examples("docs/server.md", "curl -s", "sh") == [line]
    subprocess.run(["sh", "-c", line.replace("localhost:8000", f"localhost:{port}")], cwd=tmp_path, check=True)
    assert Image.open(tmp_path / "sneaker.png").size == (28, 28)


def test_the_client_of_the_document_runs(port: str) -> None:
    (code,) = examples("docs/server.md", "import openai", "python")
    code = code.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    kinds = [line.split()[0] for line in done.stdout.splitlines()]
    assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]


@pytest.mark.parametrize("word", ["create_app", "AsyncEngine"])
def test_the_python_examples_run(word: str) -> None:
    (code,) = examples("docs/server.md", word, "python")
    checks = {"create_app": "assert app.state.engine", "AsyncEngine": "assert images.shape == (1, 28, 28, 1)"}
    subprocess.run([sys.executable, "-c", f"{code}\n{checks[word]}"], check=True)


def test_the_server_behind_a_proxy() -> None:
    (line,) = examples("docs/server.md", "--root-path", "sh")
    arguments = shlex.split(line.removeprefix("ddim-edge"))
    body = json.dumps({"prompt": "bag", "num_inference_steps": 1, "response_format": "url"}).encode()
    headers = {"Host": "images.example.com", "X-Forwarded-Proto": "https", "Content-Type": "application/json"}
    env = {name: value for name, value in os.environ.items() if name != "DDIM_EDGE_API_KEY"}
    with subprocess.Popen([*COMMAND, *arguments, "--port", "0"], env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = process.stderr.readline().split()[-1]
        asked = urllib.request.Request(f"{address}/v1/images/generations", body, headers)
        with urllib.request.urlopen(asked) as answer:
            url = json.load(answer)["data"][0]["url"]
        process.terminate()
        process.stderr.read()
    assert url.startswith("https://images.example.com/draw/images/")


def test_a_policy_answers_the_clients_of_the_document(tmp_path: Path) -> None:
    write_policy(tmp_path / "push")
    env = {name: value for name, value in os.environ.items() if name != "DDIM_EDGE_API_KEY"}
    command = [*COMMAND, "serve", "push", "--port", "0"]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        port = process.stderr.readline().rpartition(":")[2].strip()
        (lines,) = examples("docs/kserve.md", "curl", "sh")
        asked = subprocess.run(
            ["sh", "-c", lines.replace("localhost:8000", f"localhost:{port}")],
            check=True,
            capture_output=True,
            text=True,
        )
        (code,) = examples("docs/kserve.md", "InferenceServerClient", "python")
        done = subprocess.run(
            [sys.executable, "-c", code.replace("localhost:8000", f"localhost:{port}")],
            check=True,
            capture_output=True,
            text=True,
        )
        process.terminate()
        process.stderr.read()
    metadata, answer = (
        json.JSONDecoder().raw_decode(text)[0] for text in asked.stdout.replace("}{", "}\n{").split("\n")
    )
    assert [each["name"] for each in metadata["inputs"]] == ["observation.state", "observation.environment_state"]
    (actions,) = answer["outputs"]
    assert actions["shape"] == [1, 4, 2]
    shown = [float(word) for word in re.findall(r"-?[0-9.]+(?:e-?[0-9]+)?", done.stdout)]
    assert shown == pytest.approx(actions["data"], rel=1e-6)
