"""The commands in docs/many-machines.md run as they stand, with fewer images."""

import contextlib
import io
import json
import os
import re
import shlex
import tarfile
from pathlib import Path

import fsspec
import pytest

from ddim_edge.ray.cluster import connected
from tests.helpers.command_line import Invoke

_DOCUMENT = Path(__file__).parents[2] / "docs" / "many-machines.md"
_TEXT = _DOCUMENT.read_text(encoding="utf-8")
_ALL_COMMANDS = re.findall(r"^ddim-edge run (.+)$", _TEXT, re.MULTILINE)
_COMMANDS = [line for line in _ALL_COMMANDS if not re.search("s3://|--archive|--requests|--ray", line)]
_KUBERNETES = re.findall(r"^args: (\[.*\"--shard\".*\])$", _TEXT, re.MULTILINE)


def _run(invoke: Invoke, arguments: list[str]) -> None:
    fewer = [re.sub("^/images/", "images/", re.sub("^1000000$|^1000$", "5", argument)) for argument in arguments]
    outcome = invoke("run", *fewer, "-s", 1, "-b", 1)
    assert (outcome.code, outcome.err) == (0, "")


def test_there_are_commands() -> None:
    assert len(_COMMANDS) >= 4
    assert len(_KUBERNETES) == 1


@pytest.mark.parametrize("line", _COMMANDS)
def test_the_commands_run(invoke: Invoke, tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "40")
    _run(invoke, shlex.split(os.path.expandvars(line)))
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    made = [path for path in folder.iterdir() if path.name != "run.json"]
    assert len(made) == (1 if "--shard" in line else 5)
    assert made[0].name.startswith("000003." if "--shard" in line else "0000")


def test_the_arguments_for_kubernetes_run(invoke: Invoke, tmp_path: Path) -> None:
    command, *arguments = json.loads(_KUBERNETES[0].replace("$(JOB_COMPLETION_INDEX)", "3"))
    assert command == "run"
    _run(invoke, arguments)
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["000003.png", "run.json"]


def test_the_command_for_a_store_runs(invoke: Invoke) -> None:
    """With fsspec's memory as the store; tests/images/test_remote.py has a server of S3's protocol."""
    (line,) = (line for line in _ALL_COMMANDS if "s3://" in line)
    _run(invoke, shlex.split(line.replace("s3://bucket/", "memory://document/")))
    names = [path.rpartition("/")[2] for path in fsspec.filesystem("memory").ls("/document/images", detail=False)]
    assert sorted(names) == [*(f"{index:06d}.png" for index in range(5)), "run.json"]


def test_the_command_for_an_archive_and_its_reader_run(invoke: Invoke, tmp_path: Path) -> None:
    (line,) = (line for line in _ALL_COMMANDS if "--archive" in line)
    _run(invoke, shlex.split(line))
    with tarfile.open(tmp_path / "tars" / "000000.tar") as tar:
        assert len(tar.getnames()) == 10
    pytest.importorskip("webdataset")
    (code,) = re.findall(r"```python\n(import webdataset.*?)```", _TEXT, re.DOTALL)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code.replace("000009", "000000"), "many-machines.md", "exec"), {})
    assert printed.getvalue().splitlines() == [f"{index:06d} (28, 28) 0" for index in range(5)]


def test_the_table_and_the_loop_over_requests_run(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (table,) = re.findall(r"```text\n(labels,.*?)```", _TEXT, re.DOTALL)
    (tmp_path / "orders.csv").write_text(table)
    (line,) = (line for line in _ALL_COMMANDS if "--requests" in line)
    _run(invoke, shlex.split(line))
    assert len([*(tmp_path / "orders").glob("*.png")]) == table.count("\n") - 1
    (code,) = re.findall(r"```python\n([^`]*generate_many.*?)```", _TEXT, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "many-machines.md", "exec"), {})
    assert len([*tmp_path.glob("sneaker-*-0.png")]) == 8


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
def test_the_command_and_the_code_for_ray_run(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a cluster of this process: another one may run on this machine."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    options = ("-n", 4, "-s", 1, "-b", 1)
    assert invoke("run", *options, "--output", "plain/").code == 0
    assert invoke("run", *options, "--output", "images/").code == 0
    (tmp_path / "images" / "000002.png").unlink()
    (line,) = (line for line in _ALL_COMMANDS if "--ray" in line)
    code = "\n".join(re.findall(r"```python\n([^`]*ddim_edge\.ray\..*?)```", _TEXT, re.DOTALL))
    with connected("local"), contextlib.redirect_stdout(io.StringIO()) as printed:
        monkeypatch.setattr("ddim_edge.cli.run.connected", contextlib.nullcontext)
        invoke("run", *shlex.split(line.replace("--ray auto", "--ray local")), *options)
        exec(compile(code.replace("num_images=2000", "num_images=2, num_steps=1"), "many-machines.md", "exec"), {})
    assert _contents(tmp_path / "images") == _contents(tmp_path / "plain")
    of_command, of_request, *of_rows = printed.getvalue().splitlines()
    assert "(1 image, 3 more were there, 1 step" in of_command
    assert of_request == "0 2"
    assert [row.partition(") {")[0] for row in of_rows] == ["(1, 28, 28, 1"] * 2


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
