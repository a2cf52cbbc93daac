"""``export --target cpu`` builds a large bundle for this machine. A bundle is copied in place of the export."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.cli import export as command
from ddim_edge.runtime.sessions import first_build
from tests.helpers.command_line import Invoke

Export = Callable[..., tuple[str, str]]


def copied(bundle: Path, out: Path) -> dict[str, Any]:
    shutil.copytree(bundle, out)
    return {"bundle": str(out)}


@pytest.fixture
def export(invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Export:
    """Call the command; returns stdout and stderr. Every bundle counts as a large one."""
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(first_build, "LARGE", 0)
    monkeypatch.setattr(command, "run_export", lambda _exporter, _source, out, **_: copied(tiny_bundle, out))

    def call(*options: str) -> tuple[str, str]:
        outcome = invoke("export", "source", "out", *options)
        assert outcome.code == 0
        return outcome.out, outcome.err

    return call


def test_a_bundle_for_this_cpu_is_built(export: Export, tmp_path: Path) -> None:
    out, err = export("--target", "cpu")
    assert out == f"{tmp_path / 'cache' / 'compiled'}: 1 built, 0.0 MB\n"
    assert "1 of 1, unet: built in " in err


@pytest.mark.parametrize("options", [(), ("--target", "cuda"), ("--target", "cpu", "--no-build")])
def test_one_for_any_machine_is_not(options: tuple[str, ...], export: Export, tmp_path: Path) -> None:
    assert export(*options) == ("", "")
    assert not (tmp_path / "cache").exists()


def test_the_build_is_a_part_of_the_json(export: Export, tmp_path: Path) -> None:
    out, _ = export("--target", "cpu", "--json")
    facts = json.loads(out)
    assert facts["bundle"] == "out"
    assert facts["built"]["cache"] == str(tmp_path / "cache" / "compiled")
    assert [part["component"] for part in facts["built"]["parts"]] == ["unet"]
    assert json.loads(export_again(export, tmp_path, "--json")) == {"bundle": "out", "built": None}
    assert export_again(export, tmp_path, "--target", "cpu", "--quiet") == ""


def export_again(export: Export, folder: Path, *options: str) -> str:
    shutil.rmtree(folder / "out")
    out, err = export(*options)
    assert err == ""
    return out


def test_a_small_one_is_not(export: Export, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(first_build, "LARGE", 500_000_000)
    assert export("--target", "cpu") == ("", "")
    assert not (tmp_path / "cache").exists()


def test_an_export_is_finished_where_the_build_fails(
    export: Export, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path / "file"))
    out, err = export("--target", "cpu")
    assert out == ""
    assert err.startswith("ddim-edge: warning: out is exported, and not built for this CPU: cannot write ")
