"""What several folders of tests share: tiny bundles, and the command line called in this process."""

import gc
import os
import signal
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from ddim_edge.cli import main
from tests.helpers.command_line import COMMAND, Invoke, Outcome
from tests.helpers.deep_bundles import write_deep_bundle
from tests.helpers.tiny_bundles import tiny_model, write_bundle

if TYPE_CHECKING:
    from tests.helpers.exported import Exports

# Exports with PyTorch make so many objects that a tenth of their time would go into looking for garbage.
gc.set_threshold(50_000)

# A shell that starts the tests in the background has Ctrl-C ignored, and they could not be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What the user of this machine has compiled is no part of any test.
os.environ["DDIM_EDGE_CACHE"] = os.devnull

# PyTorch's networks are tiny here: its threads would only wait for each other, and for those of the other processes of
# tests. ONNX Runtime does not read this variable, so sessions have as many threads as a user's.
os.environ.setdefault("MKL_NUM_THREADS", "1")

# A busy machine is no failure.
settings.register_profile("no_clock", deadline=None)
settings.load_profile("no_clock")


_SLOW_FIXTURES = {"family_of", "export", "make_unet", "browser"}
"""Fixtures of what is slow together: exports with PyTorch, and a browser. Whichever test comes first pays for them."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among a million objects that are imported, neither now nor later: they stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses such a fixture as slow, and start files with slow tests first: no process waits for one."""
    for item in items:
        if not _SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def invoke(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    """Call the command line in this process, in an empty current folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        assert isinstance(stop.value.code, int)
        return Outcome(stop.value.code, captured.out, captured.err)

    return call


@pytest.fixture
def in_process(tmp_path: Path) -> Invoke:
    """Call the command line in a process of its own, in an empty current folder."""

    def call(*arguments: object, **environment: str) -> Outcome:
        command = [*COMMAND, *map(str, arguments)]
        env = os.environ | environment
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with three classes and a null class. Leave it as it is."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def deep_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a shallow graph, three classes and a null class. Leave it as it is."""
    return write_deep_bundle(tmp_path_factory.mktemp("bundles") / "deep")


@pytest.fixture(scope="session")
def plain_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle without classes, three channels. Leave it as it is."""
    model = tiny_model(channels=3, classes=False)
    return write_bundle(tmp_path_factory.mktemp("bundles") / "plain", model, labels=None, channels=3)


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> "Exports":
    """Tiny families of latent models, and their exported networks."""
    from tests.helpers.exported import Exports  # which needs seconds to import PyTorch

    return Exports(tmp_path_factory)


@pytest.fixture
def new_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Write a bundle that the test may spoil; the arguments are those of ``write_bundle``."""

    def make(*arguments: Any, **options: Any) -> Path:
        return write_bundle(tmp_path / "bundle", *arguments, **options)

    return make
