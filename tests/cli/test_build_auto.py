"""``ddim-edge build --provider auto``: the table, what is kept, what a run takes, and what is refused."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.benchmark import choose
from ddim_edge.cli import build_auto
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.compiled.measured import Measured
from ddim_edge.runtime.compiled.places import bundle_cache, cached_folders, user_cache
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import write_bundle


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path / "cache"))


def _rows(best: str | None = None) -> list[Measured]:
    here = Machine.of("cpu")
    return [
        Measured("cpu", None, "float32", None, {"single": 0.0123, "guided": 0.02}, None, best, here),
        Measured("cpu", None, "float32", 1, {"single": 0.006, "guided": 0.0104}, 2e-7, best, here),
        Measured("webgpu", None, "float32", None, reason="its process was killed by SIGSEGV"),
    ]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let the measurement be a function that returns seconds at once; what it was asked for."""
    asked: list[Any] = []

    def measure(bundle: Any, _rows_asked: Any, request: Any, notify: Callable[[str], None]) -> list[Measured]:
        notify("measuring")
        asked.append((bundle.folder, request))
        return _rows()

    monkeypatch.setattr(build_auto, "measure", measure)
    return asked


TABLE = """\
provider  precision  threads  1 image, ms  guided, ms  difference
cpu       float32    default         12.3        20.0           –
cpu       float32          1         6.00        10.4     2.0e-07
webgpu    float32    default            –           –           –
webgpu in float32: its process was killed by SIGSEGV
"""


@pytest.mark.usefixtures("measured")
def test_a_dry_run_prints_the_table_and_keeps_nothing(invoke: Invoke, tiny_bundle: Path) -> None:
    outcome = invoke("build", tiny_bundle, "--provider", "auto", "--dry-run")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"{TABLE}--provider auto would take cpu in float32, 1 thread for {tiny_bundle}\n"
    assert cached_folders(user_cache()) == []


@pytest.mark.usefixtures("measured")
def test_it_keeps_the_fastest_builds_for_it_and_lists_it(invoke: Invoke, tiny_bundle: Path) -> None:
    outcome = invoke("build", tiny_bundle, "-p", "auto")
    assert outcome.code == 0
    assert outcome.out.startswith(f"{TABLE}--provider auto takes cpu in float32, 1 thread for {tiny_bundle}\n")
    assert f"{user_cache()}: 1 built, " in outcome.out
    assert [folder.name.rpartition("-")[0] for folder in cached_folders(user_cache())] == ["auto-unet", "cpu-unet"]
    listed = invoke("build", "--list").out
    assert "--provider auto takes cpu in float32, 1 thread for unet, measured 20" in listed
    assert "of no use" not in listed
    entry, _ = json.loads(invoke("build", "--list", "--json").out)["entries"]
    assert (entry["provider"], entry["takes"]["threads"], len(entry["measured"])) == ("auto", 1, 3)
    assert invoke("build", "--prune").out == "0 removed, 0.0 MB\n"
    assert "auto takes cpu in float32, 1 thread, as measured on this machine" in invoke("inspect", tiny_bundle).out
    assert invoke("run", tiny_bundle, "-n", 1, "-o", "a.npy").err == ""


def test_the_size_and_guidance_that_are_asked_for_are_measured(
    invoke: Invoke, new_bundle: Callable[..., Path], measured: list[Any]
) -> None:
    bundle = new_bundle()
    options = ("--height", 16, "--width", 8, "--no-guidance", "--beside", "--json")
    outcome = invoke("build", bundle, "-p", "auto", *options)
    ((folder, request),) = measured
    assert (folder, request.height, request.width, request.guided) == (bundle, 16, 8, False)
    facts = json.loads(outcome.out)
    assert (facts["takes"]["threads"], len(facts["measured"])) == (1, 3)
    assert Path(facts["kept"]).parent == bundle_cache(bundle)
    assert len(facts["parts"]) == 1


@pytest.mark.usefixtures("measured")
def test_the_commands_of_the_documentation_run(invoke: Invoke, tmp_path: Path) -> None:
    write_bundle(tmp_path / "my-bundle")
    text = (Path(__file__).parents[2] / "docs" / "providers.md").read_text()
    lines = re.findall(r"^ddim-edge (.*?)(?:  +#.*)?$", text, re.MULTILINE)
    assert len(lines) >= 6
    for line in lines:
        assert invoke(*shlex.split(line)).code == 0, line


def test_a_real_measurement(invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "ROUND_SECONDS", 0.001)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    facts = json.loads(invoke("build", tiny_bundle, "-p", "auto", "--json").out)
    assert facts["takes"]["provider"] in {row["provider"] for row in facts["measured"]}
    assert 0 < facts["takes"]["seconds"]["guided"] < 1
    outcome = invoke("run", tiny_bundle, "-n", 1, "-o", "a.npy")
    assert (outcome.code, outcome.err) == (0, "")
    assert f" on {facts['takes']['provider']} in " in outcome.out


def test_where_nothing_runs(invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_auto, "measure", lambda *_arguments: _rows("it computes something else"))
    outcome = invoke("build", tiny_bundle, "-p", "auto")
    reasons = (
        f"nothing that is installed here runs {tiny_bundle}: cpu in float32: it computes something else",
        "SIGSEGV",
    )
    assert outcome.failed_with(*reasons)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("-p", "auto", "--batch", "2"), "--batch does not apply to --provider auto"),
        (("-p", "auto", "--workspace", "64"), "--workspace does not apply to --provider auto"),
        (("-p", "auto", "--allow-fallback"), "--allow-fallback does not apply to --provider auto"),
        (("-p", "auto", "--provider-option", "a=b"), "option 'a' belongs to a provider"),
        (("-p", "auto", "--precision", "int8"), "--precision int8 is TensorRT's alone"),
        (("-p", "auto", "--precision", "half"), "precision 'half' is unknown"),
        (("-p", "auto:1"), "device '1' belongs to a provider"),
        (("-p", "cpu", "--dry-run"), "--dry-run is for --provider auto"),
        (("-p", "auto", "--height", "9999999"), "height"),
        (("-p", "auto", "--list"), "--list and --prune take no other option"),
    ],
)
def test_bad_input_is_one_line(invoke: Invoke, tiny_bundle: Path, options: tuple[str, ...], error: str) -> None:
    assert invoke("build", tiny_bundle, *options).failed_with(error)
    assert cached_folders(user_cache()) == []


@pytest.mark.usefixtures("measured")
def test_a_cache_that_cannot_be_written(invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDIM_EDGE_CACHE", "/dev/null")
    assert invoke("build", tiny_bundle, "-p", "auto").failed_with("cannot write", "DDIM_EDGE_CACHE")
