"""Every fenced block of README.md and docs/ is data, is run by a test, or says what it needs that is not there."""

import re

import click
import pytest

from tests.helpers.command_line import check_options
from tests.helpers.documents import DATA, DOCUMENTS, ROOT, RUNNABLE, Block, blocks, ddim_edge_words

BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
_COMMANDS = [block for block in BLOCKS if ddim_edge_words(block)]


def problem(block: Block) -> str | None:
    """What is wrong with a block's language or its mark."""
    if block.language not in RUNNABLE | DATA:
        return f"{block.name}: language {block.language!r}; a block of commands is sh, other text is text"
    if block.language in DATA and (block.needs or block.run_by):
        return f"{block.name}: nobody runs {block.language}"
    if block.run_by and not _runs(block):
        return f"{block.name}: there is no test {block.run_by} that reads the document"
    return None


def _runs(block: Block) -> bool:
    """Whether the named test is there, in a file that names the document."""
    file, _, name = block.run_by.partition("::")
    if not (ROOT / file).is_file():
        return False
    text = (ROOT / file).read_text(encoding="utf-8")
    return f"def {name}(" in text and block.document.rpartition("/")[2] in text


def test_every_block_is_run_or_says_what_it_needs() -> None:
    assert len(BLOCKS) > 80
    assert [found for block in BLOCKS if (found := problem(block))] == []


def test_every_fence_is_read_as_a_block() -> None:
    """One that is indented, or whose mark is misspelt, would be left out."""
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        assert len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE)) == 2 * len(blocks(document)), document
        marks = re.findall(r"^<!-- (?!/?full_size).*-->$", text, re.MULTILINE)
        assert len(marks) == sum(bool(block.needs or block.run_by) for block in blocks(document)), document


@pytest.mark.parametrize("block", _COMMANDS, ids=lambda block: block.name)
def test_its_commands_exist_and_take_their_options(block: Block) -> None:
    for words in ddim_edge_words(block):
        check_options(words)


@pytest.mark.parametrize(
    ("language", "run_by"),
    [
        ("", ""),
        ("shell", ""),
        ("text", "tests/docs_site/test_blocks.py::test_every_block_is_run_or_says_what_it_needs"),
        ("sh", "tests/docs_site/nowhere.py::test_it"),
        ("sh", "tests/docs_site/test_blocks.py::test_that_is_gone"),
    ],
)
def test_a_block_that_nobody_runs_is_found(language: str, run_by: str) -> None:
    assert problem(Block("README.md", 1, "", run_by, language, "ddim-edge run\n"))


@pytest.mark.parametrize("words", [["runs"], ["run", "--no-such-option"], ["run", "--num-steps", "many"]])
def test_a_command_that_does_not_exist_is_found(words: list[str]) -> None:
    with pytest.raises((KeyError, click.ClickException)):
        check_options(words)
