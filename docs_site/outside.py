"""Finds what a built site would load from elsewhere: scripts, styles, fonts, pictures, frames."""

import re
from html.parser import HTMLParser
from pathlib import Path

_LOADS = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
}
_NOT_LOADED = {"canonical", "next", "prev", "alternate", "author"}
_IN_STYLE = re.compile(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")\s]+)")


def resources_from_elsewhere(site: str | Path) -> list[str]:
    """A line for each resource with a host: the file, and the address."""
    found = []
    for path in sorted(Path(site).rglob("*")):
        if path.suffix in (".html", ".css"):
            text = path.read_text(encoding="utf-8")
            addresses = in_html(text) if path.suffix == ".html" else _IN_STYLE.findall(text)
            found += [f"{path.relative_to(site)}: {address}" for address in addresses]
    return found


def in_html(text: str) -> list[str]:
    """The addresses with a host that a page loads; links that a reader may follow are none."""
    parser = _Loads()
    parser.feed(text)
    return parser.found


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        address = values.get(_LOADS.get(tag, "")) or ""
        relation = set((values.get("rel") or "").split())
        if re.match(r"(https?:)?//", address) and not relation & _NOT_LOADED:
            self.found.append(address)
        self.found += _IN_STYLE.findall(values.get("style") or "")
        self._in_style = tag == "style"

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.found += _IN_STYLE.findall(data)
            self._in_style = False
