"""Reads the licence of a source."""

import re
from pathlib import Path


def model_card_licence(folder: Path) -> str | None:
    """The key ``license`` in the front matter of the model card, README.md; None without one."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    front = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
    found = re.search(r"^license:\s*(\S+)\s*$", front[1], re.MULTILINE) if front else None
    return found[1].strip("\"'") if found else None
