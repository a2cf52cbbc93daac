"""Shards: several processes that write one folder make the files of one run."""

import json
import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.cli.shards import Shard
from ddim_edge.errors import ConfigError
from ddim_edge.generation.pipeline import Pipeline
from tests.helpers.command_line import COMMAND, Invoke
from tests.serving.live import wait_until

OPTIONS = ["-s", 2, "-n", 11, "-b", 2, "--eta", 1]


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _change_machine(folder: Path, **facts: str | None) -> None:
    """Change facts of the machine that a folder's run was begun on; None removes one."""
    entries = json.loads((folder / "run.json").read_text())
    machine = {**entries["machine"], **facts}
    entries["machine"] = {name: fact for name, fact in machine.items() if fact is not None}
    (folder / "run.json").write_text(json.dumps(entries, indent=1))


@pytest.mark.parametrize("count", [2, 5, 40])
def test_the_shards_share_all_batches(count: int) -> None:
    chunks = [range(first, first + 3) for first in range(0, 100, 3)]
    shares = [Shard(index, count).of(chunks) for index in range(count)]
    assert sorted((chunk for share in shares for chunk in share), key=lambda chunk: chunk.start) == chunks
    assert all(chunk.start // 3 % count == index for index, share in enumerate(shares) for chunk in share)


@pytest.mark.parametrize(
    "text", ["", "3", "3/", "/3", "-1/3", "3/3", "0/0", "1/2/3", "a/b", "1.0/2", "9" * 5000 + "/9", "²/3"]
)
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--shard"):
        Shard.parse(text)


@pytest.mark.parametrize("shard", ["40/40", "x"])
def test_bad_input_is_one_line_before_a_model_is_opened(invoke: Invoke, shard: str) -> None:
    assert invoke("run", "no-such-model", "--shard", shard, "-o", "out/").failed_with("--shard")


@pytest.mark.parametrize("output", [(), ("-o", "out.png")])
def test_a_shard_needs_a_folder(invoke: Invoke, tmp_path: Path, output: tuple[str, ...]) -> None:
    assert invoke("run", "no-such-model", "--shard", "0/2", *output).failed_with("--shard needs a folder as --output")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [2, 5])
def test_all_shards_give_the_files_of_one_run(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("run", tiny_bundle, *OPTIONS, "-o", "whole/").code == 0
    for index in reversed(range(count)):
        monkeypatch.setenv("DDIM_EDGE_RUN_SHARD", f"{index}/{count}")
        assert invoke("run", tiny_bundle, *OPTIONS, "-o", "shared/").code == 0
    assert _contents(tmp_path / "shared") == _contents(tmp_path / "whole")


def test_a_killed_shard_is_started_again(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    options = [tiny_bundle, "-s", 2, "-n", 600, "-b", 4, "-o"]
    shared = tmp_path / "shared"
    command = [*COMMAND, *map(str, ["run", *options, shared, "--shard", "1/2"])]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: process.poll() is not None or (shared / "000012.png").exists())
        process.kill()
    assert process.returncode < 0
    assert not (shared / "000599.png").exists()
    for shard in ("0/2", "1/2"):
        assert invoke("run", *options, shared, "--shard", shard).code == 0
    assert invoke("run", *options, "whole/").code == 0
    left = {name: contents for name, contents in _contents(shared).items() if not name.endswith(".part")}
    assert left == _contents(tmp_path / "whole")


def test_four_processes_race_for_one_folder(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    """All make the same shard, so that all write the same names at the same time."""
    command = [*COMMAND, "run", *map(str, [tiny_bundle, *OPTIONS, "-o", tmp_path / "shared", "-q"])]

    def run(_number: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(4) as threads:
        outcomes = [(done.returncode, done.stderr) for done in threads.map(run, range(4))]
    assert outcomes == [(0, "")] * 4
    assert invoke("run", tiny_bundle, *OPTIONS, "-o", "whole/").code == 0
    assert _contents(tmp_path / "shared") == _contents(tmp_path / "whole")


def test_the_folder_names_the_machine(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, *OPTIONS, "-p", "cpu", "-o", "out/").code == 0
    machine = json.loads((tmp_path / "out" / "run.json").read_text())["machine"]
    assert set(machine) == {"provider", "precision", "ddim-edge", "onnxruntime", "numpy", "instruction set", "threads"}
    assert (machine["provider"], machine["precision"]) == ("cpu", "float32")
    assert machine["instruction set"].startswith(platform.machine())


@pytest.mark.parametrize("shard", [(), ("--shard", "1/2")])
@pytest.mark.parametrize(
    ("fact", "there"),
    [("provider", "cuda"), ("numpy", "1.0"), ("threads", "96"), ("instruction set", f"{platform.machine()} sve9")],
)
def test_another_kind_of_machine_is_refused(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, shard: tuple[str, ...], fact: str, there: str
) -> None:
    command = ["run", tiny_bundle, *OPTIONS, "-o", "out/", *shard]
    assert invoke(*command).code == 0
    _change_machine(tmp_path / "out", **{fact: there})
    before = _contents(tmp_path / "out")
    words = there.removeprefix(platform.machine()).strip()
    assert invoke(*command).failed_with("begun on another kind of machine", f": {fact} ", f" here, {words} there. Use")
    assert _contents(tmp_path / "out") == before
    assert invoke(*command, "--mixed-machines").code == 0
    assert _contents(tmp_path / "out") == before


@pytest.mark.parametrize("entry", [None, "gone"])
def test_a_folder_of_an_earlier_version_goes_on(invoke: Invoke, tmp_path: Path, tiny_bundle: Path, entry: Any) -> None:
    command = ["run", tiny_bundle, *OPTIONS, "-o", "out/"]
    assert invoke(*command).code == 0
    entries = json.loads((tmp_path / "out" / "run.json").read_text())
    del entries["machine"]
    text = json.dumps(entries if entry is None else {**entries, "machine": {}}, indent=1)
    (tmp_path / "out" / "run.json").write_text(text)
    (tmp_path / "out" / "000003.png").unlink()
    assert "(2 images, " in invoke(*command).out
    assert (tmp_path / "out" / "run.json").read_text() == text


@pytest.mark.parametrize("contents", ["", "{", "[1]", '{"machine": 3}', '{"machine": {}}'])
def test_a_run_file_that_is_none_is_another_run(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, contents: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text(contents)
    assert invoke("run", tiny_bundle, *OPTIONS, "-o", "out/").failed_with("holds the images of another run")


def test_ctrl_c_counts_the_images_of_the_shard(
    invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Pipeline.run

    def run(self: Pipeline, *arguments: Any) -> Any:
        for number, progress in enumerate(whole(self, *arguments)):
            if number == 3:
                raise KeyboardInterrupt
            yield progress

    monkeypatch.setattr(Pipeline, "run", run)
    outcome = invoke("run", tiny_bundle, *OPTIONS, "-o", "out/", "--shard", "0/2")
    assert outcome.failed_with("interrupted with 2 of 6 images of shard 0/2 in out: run the same", code=130)
