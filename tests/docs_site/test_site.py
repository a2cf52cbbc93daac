"""The site: its check of what a page loads, its links to sources, its reference."""

import re
from pathlib import Path

import pytest

import ddim_edge
from ddim_edge.cli import COMMANDS, cli
from docs_site import files, reference
from docs_site.outside import resources_from_elsewhere

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://example.com/a.js"></script>',
        '<link rel="stylesheet" href="//example.com/a.css">',
        '<link rel="preconnect" href="https://fonts.gstatic.com">',
        '<img src="http://example.com/a.png">',
        '<p style="background: url(https://example.com/a.png)">',
        "<style>@import 'https://example.com/a.css';</style>",
    ],
)
def test_a_resource_from_elsewhere_is_found(page: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(page)
    (line,) = resources_from_elsewhere(tmp_path)
    assert line.startswith("index.html: ")
    assert "//" in line


def test_links_and_own_resources_are_none(tmp_path: Path) -> None:
    page = '<a href="https://example.com">x</a><script src="a.js"></script><link rel="canonical" href="https://x.y">'
    (tmp_path / "index.html").write_text(page)
    (tmp_path / "a.css").write_text("a { background: url(data:image/svg+xml;x) }")
    assert resources_from_elsewhere(tmp_path) == []


def test_a_font_in_a_style_sheet_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("@font-face { src: url(https://example.com/a.woff2) }")
    assert resources_from_elsewhere(tmp_path) == ["a.css: https://example.com/a.woff2"]


def test_a_link_to_a_source_becomes_its_path() -> None:
    text = "[minimal](../examples/minimal.py) [it](nowhere.md) [export.md](export.md) `[a](../Makefile)`"
    wanted = "minimal (`examples/minimal.py`) [it](nowhere.md) [export.md](export.md) `[a](../Makefile)`"
    assert files.without_links_to_sources("docs/install.md", text) == wanted


def test_every_page_is_in_the_navigation() -> None:
    """Mkdocs checks it, too, but not in the tests."""
    config = (ROOT / "docs_site" / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r": (\S+\.md)$", config, re.MULTILINE))
    written = {page for page in files.pages() if page.endswith(".md") and not re.search(r"/decisions/\d", page)}
    assert named == written | {f"docs/reference/{name}.md" for name in ("command-line", "python", "http")}


def test_the_reference_has_every_command_option_name_and_path() -> None:
    pages = reference.pages()
    commands, python, http = (pages[f"docs/reference/{name}.md"] for name in ("command-line", "python", "http"))
    for name in COMMANDS:
        assert f"### ddim-edge {name}\n" in commands
        flags = [option.opts[-1] for option in cli.commands[name].params if not getattr(option, "hidden", False)]
        assert [flag for flag in flags if flag.startswith("--") and flag not in commands] == []
    assert [name for name in ddim_edge.__all__ if name[0] != "_" and f"::: ddim_edge.{name}\n" not in python] == []
    assert "POST /v1/images/generations" in http
