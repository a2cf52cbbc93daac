"""The tables of scheduler classes in docs/samplers.md are those of the code."""

import re

from ddim_edge.config.refused_schedulers import REFUSED
from ddim_edge.diffusion.samplers.table import BY_CLASS

from . import scheduler_table


def test_the_document_has_the_tables_of_the_code() -> None:
    text = scheduler_table.DOCUMENT.read_text(encoding="utf-8")
    assert scheduler_table.written(text) == text, "python -m tests.diffusion.samplers.scheduler_table"
    assert len(re.findall(r"^\| `\w+Scheduler` \|", text, re.MULTILINE)) == len(BY_CLASS) + len(REFUSED)


def test_the_document_says_how_many_are_accepted() -> None:
    text = scheduler_table.DOCUMENT.read_text(encoding="utf-8")
    assert f"{len(BY_CLASS)} of diffusers' scheduler classes" in text
    assert BY_CLASS.keys() == scheduler_table.TOLERANCES.keys()
