"""One spelling: what several commands take has the same flags in each, and MODEL comes first."""

import click
import pytest

from ddim_edge.cli import cli
from tests.helpers.command_line import Invoke

CONCEPTS = {
    "steps": ({"--num-steps", "--steps", "-s"}, {"run", "encode", "interpolate", "bench", "tune"}),
    "batch": ({"--batch-size", "-b"}, {"run", "encode", "build", "bench", "tune"}),
    "seed": ({"--seed"}, {"run", "tune"}),
    "labels": ({"--labels", "-l"}, {"run", "encode", "interpolate", "tune"}),
    "prompt": ({"--prompt"}, {"run", "encode", "interpolate", "tune"}),
    "height": ({"--height"}, {"run", "encode", "interpolate", "build", "bench"}),
    "width": ({"--width"}, {"run", "encode", "interpolate", "build", "bench"}),
    "guidance": ({"--guidance-scale", "-g"}, {"run", "interpolate", "bench", "tune"}),
    "provider": (
        {"--provider", "-p"},
        {"run", "encode", "interpolate", "build", "bench", "serve", "worker", "tune"},
    ),
    "precision": ({"--precision"}, {"run", "encode", "interpolate", "build", "bench", "serve", "worker", "tune"}),
    "output": ({"--output", "-o"}, {"run", "encode", "interpolate", "upgrade"}),
    "quiet": (
        {"--quiet", "-q"},
        {"run", "encode", "interpolate", "export", "adopt", "build", "tune", "upgrade", "lora"},
    ),
    "json": (
        {"--json"},
        {
            *("run", "encode", "interpolate", "export", "adopt", "build", "models", "inspect", "doctor"),
            *("bench", "tune", "upgrade", "lora"),
        },
    ),
}
"""The flags of each thing, and the commands that take it."""


def flags(command: str) -> list[set[str]]:
    """The flags of each option."""
    return [set(option.opts) for option in cli.commands[command].params if isinstance(option, click.Option)]


@pytest.mark.parametrize("concept", CONCEPTS)
def test_what_several_commands_take_has_the_same_flags(concept: str) -> None:
    wanted, commands = CONCEPTS[concept]
    found = {name for name in cli.commands if any(wanted <= option for option in flags(name))}
    partly = {name for name in cli.commands if any(wanted & option for option in flags(name))}
    if concept == "output":
        partly -= {"adopt"}  # there it names an output of the graph
    assert found == partly == commands


@pytest.mark.parametrize(
    "command", ["run", "encode", "interpolate", "build", "serve", "inspect", "bench", "tune", "upgrade"]
)
def test_the_model_is_the_first_argument(command: str) -> None:
    context = click.Context(cli.commands[command], info_name=command)
    first = next(each for each in cli.commands[command].params if isinstance(each, click.Argument))
    assert first.make_metavar(context).lstrip("[").startswith(("MODEL", "BUNDLE"))


@pytest.mark.parametrize("command", ["encode", "interpolate"])
def test_the_option_of_the_model_is_accepted_and_not_shown(command: str, invoke: Invoke) -> None:
    assert any({"--model", "-m"} <= option for option in flags(command))
    assert "--model" not in invoke(command, "--help").out
