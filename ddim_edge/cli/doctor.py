"""``ddim-edge doctor``: shows what is installed, which providers run, why the others do not, and how to fix it."""

import json
import sys
from typing import Any

import click

from ..doctor.facts import collect_facts
from .doctor_report import as_text


@click.command("doctor")
@click.option(
    "--json", "as_json", is_flag=True, envvar="DDIM_EDGE_DOCTOR_JSON", help="Print one machine-readable line."
)
@click.option("--fix", is_flag=True, help="Print only the commands that fix the problems, one per line.")
def doctor_command(as_json: bool, fix: bool) -> int:
    """Show what is installed and which providers run.

    It also shows the NVIDIA driver, CUDA, and for each provider how fast and how accurately it runs a convolution and
    an attention, or why it does not run.

    The exit code is 0 if at least one provider runs, else 2; with --fix it is always 0.

    \b
    Examples:
      ddim-edge doctor --json
      ddim-edge doctor --fix
    """
    if as_json and fix:
        raise click.UsageError("--fix prints commands, and --json all facts, with the commands: choose one.")
    facts = collect_facts(_show_progress)
    if fix:
        return _print_commands(facts["problems"])
    click.echo(json.dumps(facts) if as_json else as_text(facts))
    return 0 if None in facts["providers"].values() else 2


def _show_progress(what: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"trying {what} …", err=True)


def _print_commands(problems: list[dict[str, Any]]) -> int:
    for problem in problems:
        click.echo(problem["what"], err=True)
        for command in problem["commands"]:
            click.echo(command)
    if not problems:
        click.echo("nothing to fix", err=True)
    return 0
