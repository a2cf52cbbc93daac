"""The package is on no index: no document and no message may tell to install it from one."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ddim_edge import __version__

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "deploy/**/*", "examples/*", "bench/**/*.md", "models/*.md")
    for path in ROOT.glob(pattern)
    if path.is_file() and path.name != "CHANGELOG.md" and path.suffix not in (".png", ".onnx")
)
SOURCES = sorted(path for folder in ("ddim_edge", "export") for path in (ROOT / folder).rglob("*.py"))
FROM_AN_INDEX = re.compile(r"(?:pip|pipx|uv)[\w ./-]* (?:install|add|run) (?:-\S+ )*['\"]?ddim-edge\b(?!_)")
WITH_EXTRAS = re.compile(r"\.(?:whl)?\[([a-z_,]+)\]['\"]")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


@pytest.mark.parametrize("line", ["pip install 'ddim-edge[cpu]'", "pip install ddim-edge", "pip install -U ddim-edge"])
def test_such_a_line_is_found(line: str) -> None:
    assert FROM_AN_INDEX.search(line)


@pytest.mark.parametrize("line", ["pip install '.[cpu]'", "pip install 'ddim_edge-0.1.0-py3-none-any.whl[cpu]'"])
def test_a_line_for_a_clone_or_a_wheel_is_not(line: str) -> None:
    assert not FROM_AN_INDEX.search(line)


def test_no_text_installs_it_from_an_index() -> None:
    assert len(DOCUMENTS) > 20
    texts = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in [*DOCUMENTS, *SOURCES]}
    assert {str(path): found for path, text in texts.items() if (found := FROM_AN_INDEX.findall(text))} == {}


def test_every_line_names_extras_that_exist() -> None:
    named = [extras for path in DOCUMENTS for extras in WITH_EXTRAS.findall(path.read_text(encoding="utf-8"))]
    assert len(named) > 8
    assert {extra for extras in named for extra in extras.split(",")} <= set(EXTRAS)


def test_every_wheel_that_is_named_has_this_version() -> None:
    named = {name for path in DOCUMENTS for name in re.findall(r"ddim_edge-[\d.]+-", path.read_text(encoding="utf-8"))}
    assert named == {f"ddim_edge-{__version__}-"}


def test_bash_takes_the_completion_of_the_document() -> None:
    (block,) = re.findall(r"```bash\n(.+?)```", (ROOT / "docs" / "install.md").read_text(encoding="utf-8"), re.DOTALL)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = f"{block}\ncomplete -p ddim-edge"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert (done.returncode, "_ddim_edge_completion" in done.stdout) == (0, True), done.stderr
