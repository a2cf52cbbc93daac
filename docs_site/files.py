"""Which files of the repository are pages of the site, and what its links to other files become."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath

ROOT = Path(__file__).parents[1]
_PATTERNS = ("*.md", "docs/**/*.md", "docs/**/*.png", "bench/README.md", "deploy/README.md", "examples/README.md")
_LINK = re.compile(r"(?<!!)\[([^\]\[]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def pages() -> Iterator[str]:
    """The paths of pages and pictures, relative to the repository's root."""
    for pattern in (*_PATTERNS, "models/README.md"):
        for path in sorted(ROOT.glob(pattern)):
            yield path.relative_to(ROOT).as_posix()


def links(text: str) -> Iterator[str]:
    """The relative targets of the links in a Markdown text, without anchors."""
    for part in _CODE.split(text)[::2]:
        for found in _LINK.finditer(part):
            if not _is_elsewhere(found[2]):
                yield found[2]


def target(page: str, link: str) -> str:
    """The path in the repository that a link of a page points to."""
    return normpath(str(PurePosixPath(page).parent / link))


def without_links_to_sources(page: str, text: str) -> str:
    """The text of a page whose links to files that are no pages, such as examples, have become their paths.

    A link to a file that is not there stays as it is: mkdocs reports it.
    """
    there = set(pages())

    def replaced(found: re.Match[str]) -> str:
        path = target(page, found[2])
        if _is_elsewhere(found[2]) or path in there or not (ROOT / path).exists():
            return found[0]
        name = found[1].strip("`")
        return f"`{path}`" if path.rstrip("/").endswith(name.rstrip("/")) else f"{found[1]} (`{path}`)"

    parts = _CODE.split(text)
    parts[::2] = [_LINK.sub(replaced, part) for part in parts[::2]]
    return "".join(parts)


def _is_elsewhere(link: str) -> bool:
    return ":" in link or link.startswith("/")
