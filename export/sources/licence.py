"""Reads the licence of a source."""

import re
from pathlib import Path

from ddim_edge.errors import LONGEST_SHOWN
from ddim_edge.files import open_regular

_LONGEST = 2**20


def model_card_licence(folder: Path) -> str | None:
    """The key ``license`` in the front matter of the model card, README.md; None without one."""
    try:
        with open_regular(folder / "README.md") as file:
            card = file.read(_LONGEST).decode(errors="replace")
    except OSError:
        return None
    front = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
    found = re.search(r"^license:\s*(\S+)\s*$", front[1], re.MULTILINE) if front else None
    return found[1].strip("\"'")[:LONGEST_SHOWN] if found else None
