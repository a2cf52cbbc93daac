"""The commands and the client in docs/triton.md run as they stand; the client with a real server (make test-triton)."""

import re
import shlex
from pathlib import Path

import pytest

from ddim_edge.serving.http.schemas import GenerationBody
from ddim_edge.serving.settings import settings_of
from ddim_edge.triton.body import TritonBody
from tests.helpers.command_line import Invoke
from tests.triton.server import PYTHON, triton_server

_TEXT = (Path(__file__).parents[2] / "docs" / "triton.md").read_text(encoding="utf-8")
_COMMANDS = re.findall(r"^ddim-edge (export .+)$", _TEXT, re.MULTILINE)


@pytest.mark.parametrize("line", _COMMANDS)
def test_the_commands_run(invoke: Invoke, tmp_path: Path, line: str) -> None:
    outcome = invoke(*shlex.split(line))
    assert (outcome.code, outcome.err) == (0, "")
    files = re.findall(r"^(models/.+\.\w+)$", _TEXT, re.MULTILINE)
    assert len(_COMMANDS) == len(files) == 2
    assert all((tmp_path / file).is_file() for file in files)


def test_the_parameters_are_those_of_the_http_api() -> None:
    (sentence,) = re.findall(r"\(\[server\.md\]\(server\.md\)\): (.+?) and so on", _TEXT, re.DOTALL)
    names = set(re.findall("`(.+?)`", sentence))
    assert len(names) > 8
    assert names <= set(TritonBody.model_fields) & set(GenerationBody.model_fields)


def test_the_settings_exist() -> None:
    given = dict(re.findall(r'^parameters \{ key: "(.+)" value \{ string_value: "(.+)" \} \}$', _TEXT, re.MULTILINE))
    assert settings_of({**given, "max_rows": int(given["max_rows"])}).max_rows == 8
    (sentence,) = re.findall(r"are fields of `ddim_edge.serving.Settings`, such as (.+?):", _TEXT, re.DOTALL)
    for name in re.findall("`([a-z_]+)`", sentence.replace("`cpu`", "").replace("`auto`", "")):
        assert hasattr(settings_of({}), name)


@pytest.mark.triton
@pytest.mark.skipif(not PYTHON, reason="DDIM_EDGE_TRITON_PYTHON names no interpreter: use `make test-triton`")
def test_the_client_runs(invoke: Invoke, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(*shlex.split(_COMMANDS[0])).code == 0
    (code,) = re.findall(r"^```python\n(.+?)^```$", _TEXT, re.DOTALL | re.MULTILINE)
    with triton_server(tmp_path / "models", tmp_path) as server:
        capfd.readouterr()
        exec(code.replace("localhost:8001", server.grpc), {})
    assert capfd.readouterr().out.splitlines()[-4:] == [
        "(28, 28, 1) partial",
        "(28, 28, 1) partial",
        "(28, 28, 1) final",
        "7",
    ]
