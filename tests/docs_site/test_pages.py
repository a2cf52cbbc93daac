"""Pages of docs/: their Python runs, their links lead to files, their tables name what the code has."""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import click
import pytest

from ddim_edge.bundle import layout
from ddim_edge.bundle.defaults import Defaults
from ddim_edge.bundle.json_files import _SCHEMAS, DEFAULTS
from ddim_edge.cli import cli
from docs_site import files

ROOT = Path(__file__).parents[2]
_DOCS = sorted((ROOT / "docs").rglob("*.md"))
_BLOCK = re.compile(r"^(<!-- needs: .*-->\n)?```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_RUN_HERE = sorted((ROOT / "docs" / "explanation").glob("*.md")) + [
    ROOT / "docs" / f"{name}.md" for name in ("numpy-alone", "from-diffusers")
]
_COMMANDS_READ_HERE = [ROOT / "docs" / f"{name}.md" for name in ("pictures", "your-own-unet", "from-optimum", "jetson")]


def _blocks(path: Path, language: str) -> list[str]:
    found = _BLOCK.findall(path.read_text(encoding="utf-8"))
    return [code for needs, name, code in found if name == language and not needs]


_PYTHON = [pytest.param(code, id=path.stem) for path in _RUN_HERE for code in _blocks(path, "python")]


@pytest.mark.parametrize("code", _PYTHON)
def test_the_python_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "page.md", "exec"), {})
    assert printed.getvalue() or "print(" not in code


def test_there_is_python_to_run() -> None:
    assert len(_PYTHON) >= 5


def test_every_link_leads_to_a_file() -> None:
    """The anchors, too, are checked by ``make docs``."""
    texts = {page: (ROOT / page).read_text(encoding="utf-8") for page in files.pages() if page.endswith(".md")}
    made = {"docs/reference/command-line.md", "docs/reference/python.md", "docs/reference/http.md"}
    found = {(page, link) for page, text in texts.items() for link in files.links(text)}
    assert len(found) > 60
    missing = {(page, link) for page, link in found if not (ROOT / files.target(page, link)).exists()}
    assert {pair for pair in missing if files.target(*pair) not in made} == set()


@pytest.mark.parametrize("path", _COMMANDS_READ_HERE, ids=lambda path: path.stem)
def test_its_commands_have_options_that_exist(path: Path) -> None:
    lines = re.findall(r"^(?:\S*/)?ddim-edge (\w+)(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert lines
    for name, rest in lines:
        command = cli.commands[name]
        known = {flag for option in command.params if isinstance(option, click.Option) for flag in option.opts}
        given = {word.partition("=")[0] for word in shlex.split(rest, comments=True) if re.match("--?[a-z]", word)}
        assert given <= known, (name, rest)


def test_the_bundle_format_names_every_file_and_key() -> None:
    text = (ROOT / "docs" / "bundle-format.md").read_text(encoding="utf-8")
    small = ("tokenizer", "feature_extractor", "text_encoder", "controlnet")
    keys = {key for path, schema in _SCHEMAS.items() if not path.startswith(small) for key in schema}
    paths = (layout.INDEX, layout.SCHEDULER, layout.GENERATION_CONFIG, layout.EXPORT_RECORD, layout.STEP_MODEL)
    folders = {name for part in layout.COMPONENTS for name in (part.name, part.companion) if name}
    wanted = keys | {*paths, layout.FP32_MODEL} | folders
    assert {word for word in wanted if not re.search(rf"[`/]{re.escape(word)}[`/]", text)} == set()


def test_the_bundle_formats_example_is_read() -> None:
    text = (ROOT / "docs" / "bundle-format.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert Defaults.checked(json.loads(example)).guidance_scale == 3
    table = text.partition("### generation_config.json")[2].partition("```")[0]
    first_cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(first_cells))) == set(DEFAULTS)


def test_the_comparisons_figures_are_those_of_the_measurements() -> None:
    text = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    measured = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) s \| ([\d.]+) s \| ([\d.]+) GB \| (\d+) MB \|$", text, re.MULTILINE)
    assert len(rows) == 6
    for name, *figures in rows:
        lines = re.findall(rf"^\| {re.escape(name)} \| (.+) \|$", measured, re.MULTILINE)
        cells = max((line.split(" | ") for line in lines), key=len)
        assert figures == [cells[0], cells[5], cells[6], cells[9]], name
