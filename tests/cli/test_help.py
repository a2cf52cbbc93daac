"""Every command and every option explains itself."""

import subprocess
import sys
from collections import Counter

import click
import pytest

import ddim_edge
from ddim_edge.cli import COMMANDS as SUMMARIES
from ddim_edge.cli import cli
from ddim_edge.cli.help_sections import OPTION_SECTIONS, flag_name
from tests.helpers.command_line import Invoke

COMMANDS = sorted(cli.commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(invoke: Invoke, command: str) -> None:
    outcome = invoke(command, "--help")
    assert outcome.code == 0
    assert f"  ddim-edge {command} " in outcome.out
    assert "Example" in outcome.out
    assert invoke(command, "-h").out == outcome.out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_list_of_commands_has_the_first_sentence_of_each_help_text(command: str) -> None:
    text = " ".join((cli.commands[command].help or "").split())
    assert text[: text.index(".") + 1] == SUMMARIES[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_help_text(command: str) -> None:
    for parameter in cli.commands[command].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{command} {parameter.opts}"
            assert parameter.help.endswith((".", "]")), parameter.help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_the_environment_variable_of_its_name(command: str) -> None:
    for parameter in cli.commands[command].params:
        if isinstance(parameter, click.Option):
            variable = parameter.envvar or f"DDIM_EDGE_{command}_{parameter.name}".upper()
            names = [opt.removeprefix("--").replace("-", "_").upper() for opt in parameter.opts]
            assert variable in [f"DDIM_EDGE_{command.upper()}_{name}" for name in names]


def test_the_list_of_commands_and_the_version(invoke: Invoke) -> None:
    outcome = invoke("--help")
    assert all(f"\n  {command} " in outcome.out for command in COMMANDS)
    assert "DDIM_EDGE_RUN_NUM_STEPS=20" in outcome.out
    version = f"ddim-edge, version {ddim_edge.__version__}\n"
    assert [invoke(option).out for option in ("-V", "--version")] == [version, version]


def test_the_package_is_the_program() -> None:
    module = [sys.executable, "-m", "ddim_edge"]
    assert ddim_edge.__version__ in subprocess.check_output([*module, "-V"], text=True, timeout=120)
    refused = subprocess.run([*module, "rn"], capture_output=True, text=True, timeout=120, check=False)
    assert (refused.returncode, refused.stderr[:11]) == (2, "ddim-edge: ")


def test_without_a_command_it_shows_the_help(invoke: Invoke) -> None:
    outcome = invoke()
    assert outcome.code == 2
    assert "Usage: ddim-edge" in outcome.err
    assert all(command in outcome.err for command in COMMANDS)


@pytest.mark.parametrize("command", OPTION_SECTIONS)
def test_every_option_of_a_long_help_text_has_one_section(command: str) -> None:
    listed = Counter(name for names in OPTION_SECTIONS[command].values() for name in names)
    options = {flag_name(each) for each in cli.commands[command].params if isinstance(each, click.Option)}
    assert options - set(listed) == set()
    assert {name: listed[name] for name in options} == dict.fromkeys(options, 1)


def test_every_name_in_a_section_is_an_option_of_some_command() -> None:
    options = {
        flag_name(each) for name in COMMANDS for each in cli.commands[name].params if isinstance(each, click.Option)
    }
    assert {name for sections in OPTION_SECTIONS.values() for names in sections.values() for name in names} <= options


def test_a_summary_fits_into_a_line_of_80_columns(invoke: Invoke) -> None:
    lines = invoke("--help").out.splitlines()
    assert all(sum(summary in line for line in lines) == 1 for summary in SUMMARIES.values())


def test_the_help_of_run_has_titled_sections(invoke: Invoke) -> None:
    text = invoke("run", "--help").out
    titles = [line.removesuffix(":") for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles == [*OPTION_SECTIONS["run"], "Other options"]
