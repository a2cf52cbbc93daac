"""docs/models.md: the families of models and how closely each was compared, made from the record of the tests.

``python -m docs_site.models`` writes the page. The tests keep ``models.json``: ``tests/helpers/closeness.py``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddim_edge.files import write_file

RECORD = Path(__file__).parent / "models.json"
PAGE = Path(__file__).parents[1] / "docs" / "models.md"
_HEAD = """\
# Families of models

What was run beside the reference implementation, with small networks of random weights at the family's own
architecture, exported by `ddim-edge export`. Both sides are fed the same samples at every step; then the finished
pictures of both are compared. "Within" is the largest difference of a step. Pictures agree within one grey level of
255, unless the row says more.

This page is made by `python -m docs_site.models` from what the tests record, and the tests fail where a figure no
longer holds. Random weights say nothing of a model's quality: each row names what nobody has tried.

| family | pipeline of diffusers | compared | within | never tried |
| --- | --- | --- | --- | --- |
"""


def read_record() -> dict[str, dict[str, Any]]:
    """The families by name. Each has ``pipeline``, ``compared``, ``within``, ``untried``."""
    return dict(json.loads(RECORD.read_text(encoding="utf-8")))


def write_record(families: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the record, whole or not at all."""
    write_file(RECORD, (json.dumps(families, indent=2, ensure_ascii=False) + "\n").encode())


def page() -> str:
    """The page's text."""
    rows = (
        f"| {name} | {family['pipeline']} | {family['compared']} | {family['within']:.0e} | {family['untried']} |\n"
        for name, family in read_record().items()
    )
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    write_file(PAGE, page().encode())
