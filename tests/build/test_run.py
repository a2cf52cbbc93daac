"""Builds: a process a part, which can be stopped at any moment, and a next call that goes on."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.build import run as building
from ddim_edge.build.run import Progress, build
from ddim_edge.errors import BuildError, ConfigError, ProviderError
from ddim_edge.runtime.compiled.entry import Compiled
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.compiled.places import cached_folders, user_cache
from ddim_edge.runtime.compiled.recipe import Recipe
from ddim_edge.runtime.compiled.store import find
from ddim_edge.runtime.compiled.upkeep import locked
from ddim_edge.runtime.providers.device import Device

GPU = Machine("NVIDIA RTX A2000 8.6", "570.86.10", "1.32.0", "TensorRT 10.9.0")
TENSORRT = Device("tensorrt")
BEGIN = "import json, os, pathlib, signal, sys\njob = json.load(sys.stdin)\nfolder = pathlib.Path(job['folder'])\n"
GOOD = "(folder / 'an.engine').write_text(','.join(sorted(p.name for p in folder.iterdir())))"
HALF = "(folder / 'half.engine').write_text('half')\n(folder / 'a.timing').write_text('timed')\n"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(building, "TICK", 0.01)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Let a script stand for the compiler; it knows ``job`` and ``folder``."""

    def be(body: str) -> Path:
        script = tmp_path / "worker.py"
        script.write_text(BEGIN + body)
        monkeypatch.setattr(building, "WORKER", (sys.executable, str(script)))
        return script

    return be


@pytest.fixture
def recipes(new_bundle: Callable[..., Path]) -> list[Recipe]:
    graph = new_bundle() / "unet" / "model.onnx"
    return [Recipe("tensorrt", graph, {"sample": (rows, 1, 8, 8)}, GPU, "fp32") for rows in (1, 2, 4)]


def _ends(progress: Iterable[Progress]) -> list[Progress]:
    return [now for now in progress if now.compiled is not None]


def test_every_part_is_built_into_a_folder_of_its_own(worker: Callable[[str], Path], recipes: list[Recipe]) -> None:
    worker(GOOD)
    ends = _ends(build(recipes, user_cache(), TENSORRT))
    assert [(end.number, end.total, end.skipped) for end in ends] == [(1, 3, False), (2, 3, False), (3, 3, False)]
    assert [end.recipe for end in ends] == recipes
    compiled = [end.compiled for end in ends]
    assert list(find(recipes[0].graph, "tensorrt", machine=GPU).fitting) == compiled[::-1]
    assert cached_folders(user_cache()) == sorted(one.folder for one in compiled if one)


def test_the_worker_is_told_what_to_compile(worker: Callable[[str], Path], recipes: list[Recipe]) -> None:
    worker("(folder / 'an.engine').write_text(json.dumps(job))")
    (end,) = _ends(build(recipes[:1], user_cache(), Device("tensorrt", "1", allow_fallback=True)))
    assert end.compiled is not None
    job = json.loads((end.compiled.folder / "an.engine").read_text())
    assert (job["which"], job["allow_fallback"], job["folder"]) == ("1", True, str(end.compiled.folder))
    assert Recipe.from_json(job["recipe"], end.compiled.folder) == recipes[0]


def test_what_is_built_is_not_built_again(worker: Callable[[str], Path], recipes: list[Recipe]) -> None:
    worker(GOOD)
    _ends(build(recipes[:2], user_cache(), TENSORRT))
    worker("sys.exit('it was called')")
    assert [end.skipped for end in _ends(build(recipes[:2], user_cache(), TENSORRT))] == [True, True]
    with pytest.raises(BuildError, match="the compiler of unet for tensorrt ended with code 1: it was called"):
        _ends(build(recipes, user_cache(), TENSORRT))
    with pytest.raises(BuildError):
        _ends(build([dataclasses.replace(recipes[0], precision="fp16")], user_cache(), TENSORRT))


def test_a_build_that_is_stopped_ends_its_worker_and_leaves_nothing_that_looks_finished(
    worker: Callable[[str], Path], recipes: list[Recipe], tmp_path: Path
) -> None:
    worker(HALF + f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\nsignal.pause()")
    progress = build(recipes, user_cache(), TENSORRT)
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
        assert next(progress).compiled is None
    progress.close()
    assert not _is_running(int((tmp_path / "pid").read_text()))
    assert find(recipes[0].graph, "tensorrt", machine=GPU).fitting == ()
    (folder,) = cached_folders(user_cache())
    assert sorted(path.name for path in folder.iterdir()) == ["a.timing", "half.engine"]


def test_the_next_call_goes_on_with_what_was_timed_and_without_the_rest(
    worker: Callable[[str], Path], recipes: list[Recipe]
) -> None:
    worker(HALF + "sys.exit(1)")
    with pytest.raises(BuildError):
        _ends(build(recipes, user_cache(), TENSORRT))
    worker(GOOD)
    ends = _ends(build(recipes, user_cache(), TENSORRT))
    assert [end.skipped for end in ends] == [False, False, False]
    seen = [(end.compiled.folder / "an.engine").read_text() for end in ends if end.compiled]
    assert seen == ["a.timing", "", ""]


def test_a_provider_that_refuses_says_why(worker: Callable[[str], Path], recipes: list[Recipe]) -> None:
    worker("print(json.dumps({'error': 'no such kernel'}))\nsys.exit(2)")
    with pytest.raises(ProviderError, match=r"^no such kernel$"):
        _ends(build(recipes, user_cache(), TENSORRT))


def test_what_was_left_to_the_cpu_is_told(worker: Callable[[str], Path], recipes: list[Recipe]) -> None:
    worker(GOOD + "\nprint(json.dumps({'remark': '1 Resize was left'}))")
    assert [end.remark for end in _ends(build(recipes, user_cache(), TENSORRT))] == ["1 Resize was left"] * 3


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("print('[TRT] oh no', file=sys.stderr, flush=True)\nos.abort()", r"was killed by SIGABRT: \[TRT\] oh no"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL; the system kills what takes too much memory: no message"),
        ("print('what?')\nsys.exit(3)", "ended with code 3: no message"),
    ],
)
def test_a_crash_is_reported(worker: Callable[[str], Path], recipes: list[Recipe], body: str, words: str) -> None:
    worker(body)
    with pytest.raises(BuildError, match=words):
        _ends(build(recipes, user_cache(), TENSORRT))


def test_two_builds_do_not_share_a_cache(worker: Callable[[str], Path], recipes: list[Recipe]) -> None:
    worker(GOOD)
    with locked(user_cache()), pytest.raises(ConfigError, match="another `ddim-edge build` is at work in"):
        next(build(recipes, user_cache(), TENSORRT))
    assert len(_ends(build(recipes, user_cache(), TENSORRT))) == 3


def test_the_time_left_is_told_by_the_parts_before(
    worker: Callable[[str], Path], recipes: list[Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker(GOOD)
    clock = iter([0, 10, 100, 130, 200, 220])  # each part's begin and end
    monkeypatch.setattr(building, "_while_running", lambda worker: iter([None] * bool(worker.wait())))
    monkeypatch.setattr("ddim_edge.build.run.time.monotonic", lambda: next(clock))
    ends = _ends(build(recipes, user_cache(), TENSORRT))
    assert [(end.elapsed, end.left) for end in ends] == [(10, 20), (30, 20), (20, 0)]
    clock = iter([0, 1, 40])
    other = dataclasses.replace(recipes[0], shapes={"sample": (8, 1, 8, 8)})
    skipped, *_, last = build([recipes[0], other], user_cache(), TENSORRT)
    assert (skipped.left, last.left) == (10, 0)  # as long as the part that is there took


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


_COMMAND = """
import sys
from ddim_edge.build import plan as build_plan, run as building
from ddim_edge.cli import main
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.providers.device import Device
building.WORKER = (sys.executable, sys.argv.pop(1))
build_plan._check_loads = lambda device: None
build_plan.Machine = type("Fake", (), {"of": staticmethod(lambda *_: Machine("GPU", None, "1", "TensorRT 10"))})
main()
"""


@pytest.mark.parametrize(("told", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_the_worker_ends_with_the_command(
    worker: Callable[[str], Path], recipes: list[Recipe], tmp_path: Path, told: signal.Signals, code: int
) -> None:
    if told == signal.SIGKILL and sys.platform != "linux":
        pytest.skip("only Linux tells a process that its parent has ended")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    ended = "from ddim_edge.runtime.workers.child import end_with_parent\nend_with_parent()\n"
    script = worker(f"{ended}held = open({str(fifo)!r}, 'w')\nheld.write('here')\nheld.flush()\nsignal.pause()")
    bundle = recipes[0].graph.parents[1]
    arguments: list[Any] = [sys.executable, "-c", _COMMAND, script, "build", bundle, "--provider", "tensorrt"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as command, open(fifo) as held:
        assert held.read(4) == "here"
        command.send_signal(told)
        assert held.read() == ""  # the worker held it open until it ended
        assert command.wait() == code
        assert command.stderr is not None
        said = command.stderr.read()
    if told == signal.SIGINT:
        assert said.splitlines()[-1].startswith("ddim-edge: interrupted")
    assert all(Compiled.read(folder) is None for folder in cached_folders(user_cache()))
