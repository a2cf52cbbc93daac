"""What the command line says when the first run of a large bundle builds it."""

from pathlib import Path

import pytest

from ddim_edge.runtime.sessions import first_build
from tests.helpers.command_line import Invoke


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every bundle counts as a large one here."""
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(first_build, "LARGE", 0)


def _run(invoke: Invoke, bundle: Path, *options: str) -> str:
    outcome = invoke("run", bundle, "--provider", "cpu", "--steps", "1", "--output", "out.png", "--force", *options)
    assert outcome.code == 0
    return outcome.err


def test_the_first_run_says_that_it_builds(invoke: Invoke, tiny_bundle: Path, tmp_path: Path) -> None:
    first, second = _run(invoke, tiny_bundle).splitlines()
    cache = tmp_path / "cache" / "compiled"
    assert first == f"ddim-edge: building for this processor, once, in {cache} (--no-build leaves it out)"
    assert second.startswith("ddim-edge: unet is built: 0.0 MB in ")
    assert _run(invoke, tiny_bundle) == ""


def test_quiet_is_quiet(invoke: Invoke, tiny_bundle: Path, tmp_path: Path) -> None:
    assert _run(invoke, tiny_bundle, "--quiet") == ""
    assert list((tmp_path / "cache" / "compiled").glob("cpu-unet-*"))


def test_no_build(invoke: Invoke, tiny_bundle: Path, tmp_path: Path) -> None:
    assert _run(invoke, tiny_bundle, "--no-build") == ""
    assert not (tmp_path / "cache").exists()


def test_what_cannot_be_built_is_one_warning(
    invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path / "file"))
    (line,) = _run(invoke, tiny_bundle).splitlines()
    assert line.startswith("ddim-edge: warning: unet is not built for this processor: cannot write ")
