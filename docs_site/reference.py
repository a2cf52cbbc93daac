"""The pages of the reference, made from the program: command line, Python, HTTP."""

import inspect
import re
from collections.abc import Iterator

import click

import ddim_edge
from ddim_edge.cli import cli
from ddim_edge.cli.help_sections import COMMAND_SECTIONS, SectionedCommand
from ddim_edge.serving.app import create_app
from ddim_edge.serving.routes.reference import reference as http_reference

FOLDER = "docs/reference"


def pages() -> dict[str, str]:
    """The Markdown of each page, by its path."""
    return {
        f"{FOLDER}/command-line.md": "\n".join(_command_line()),
        f"{FOLDER}/python.md": "\n".join(_python()),
        f"{FOLDER}/http.md": _http(),
    }


def _command_line() -> Iterator[str]:
    yield "# Command line\n"
    yield inspect.cleandoc(cli.help or "") + "\n"
    for title, commands in COMMAND_SECTIONS.items():
        yield f"## {title}\n"
        for name in commands:
            yield from _command(name)


def _command(name: str) -> Iterator[str]:
    command = cli.commands[name]
    with click.Context(cli, info_name="ddim-edge", **cli.context_settings) as parent:
        context = click.Context(command, info_name=name, parent=parent)
        yield f"### ddim-edge {name}\n"
        yield f"```text\n{command.get_usage(context)}\n```\n"
        for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
            yield _paragraph(paragraph)
        if command.epilog:
            yield _paragraph(command.epilog)
        options = [option for option in command.get_params(context) if isinstance(option, click.Option)]
        for title, members in _sections(command, options):
            yield from _table(title, members, context)


def _paragraph(text: str) -> str:
    """A paragraph of a help text; examples, which click leaves as they are, as code."""
    if text.startswith("\b\n"):
        return "```text\n" + text.removeprefix("\b\n") + "\n```\n"
    return f"{text}\n"


def _sections(command: click.Command, options: list[click.Option]) -> Iterator[tuple[str, list[click.Option]]]:
    if isinstance(command, SectionedCommand):
        yield from command.sections(options)
    else:
        yield "Options", options


def _table(title: str, options: list[click.Option], context: click.Context) -> Iterator[str]:
    records = [record for option in options if (record := option.get_help_record(context)) is not None]
    if records:
        yield f"| {title} | |\n| --- | --- |"
        yield from (f"| `{' '.join(flags.split())}` | {_escaped(words)} |" for flags, words in records)
        yield ""


def _escaped(text: str) -> str:
    """Text whose brackets are no links, and whose bars end no cell."""
    return re.sub(r"([][|])", r"\\\1", " ".join(text.split()))


def _python() -> Iterator[str]:
    yield "# Python\n"
    yield "```python\nimport ddim_edge\n```\n"
    names = [name for name in ddim_edge.__all__ if not name.startswith("_")]
    kinds = {name: _kind(getattr(ddim_edge, name)) for name in names}
    for kind in ("Functions", "Classes", "Errors"):
        yield f"## {kind}\n"
        yield from (f"::: ddim_edge.{name}\n" for name in names if kinds[name] == kind)


def _kind(value: object) -> str:
    if not inspect.isclass(value):
        return "Functions"
    return "Errors" if issubclass(value, Exception) else "Classes"


def _http() -> str:
    main = http_reference(create_app().openapi()).removeprefix("<main>").removesuffix("</main>")
    return f"# HTTP\n\nThe server has this page at `/docs`, and the document at `/openapi.json`.\n\n<div>{main}</div>\n"
