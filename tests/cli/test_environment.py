"""Options from environment variables: values with spaces, and names that nothing reads."""

from pathlib import Path

import click
import pytest

from ddim_edge.cli import cli
from ddim_edge.cli.environment import OTHERS, RepeatableOption
from tests.helpers.command_line import Invoke


def _options() -> list[click.Option]:
    return [
        option for command in cli.commands.values() for option in command.params if isinstance(option, click.Option)
    ]


def test_no_repeatable_option_is_split_at_spaces() -> None:
    repeatable = [option for option in _options() if option.multiple]
    assert len(repeatable) > 5
    assert [option.name for option in repeatable if not isinstance(option, RepeatableOption)] == []


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("slice of pizza", ("slice of pizza",)),
        ("a fox: red\n\n  a cat, sitting\n", ("a fox: red", "  a cat, sitting")),
    ],
)
def test_a_variable_has_one_value_in_each_line(
    monkeypatch: pytest.MonkeyPatch, text: str, prompts: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DDIM_EDGE_RUN_PROMPT", text)
    command = click.Command("run", params=[RepeatableOption(["--prompt"])])
    with command.make_context("run", [], auto_envvar_prefix="DDIM_EDGE_RUN") as context:
        assert context.params["prompt"] == prompts


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("DDIM_EDGE_RUN_NUM_STEP", "Did you mean DDIM_EDGE_RUN_NUM_STEPS?"),
        ("DDIM_EDGE_RUN_STEPS", "Did you mean DDIM_EDGE_RUN_NUM_STEPS?"),
        ("DDIM_EDGE_SERV_PORT", "Did you mean DDIM_EDGE_SERVE_PORT?"),
        ("DDIM_EDGE_CASHE", "Did you mean DDIM_EDGE_CACHE?"),
        ("DDIM_EDGE_ZZZZ", "'DDIM_EDGE_ZZZZ' is unknown. Correct it or unset it"),
        ("DDIM_EDGE_" + "Z" * 1000, "ZZZ"),
    ],
)
def test_an_unknown_variable(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    monkeypatch.setenv(name, "1")
    outcome = invoke("inspect", "fashion-mnist")
    assert outcome.failed_with("environment variable 'DDIM_EDGE_", message)
    assert len(outcome.err) < 350


def test_known_variables(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    settings = {
        "DDIM_EDGE_RUN_NUM_STEPS": "2",
        "DDIM_EDGE_SERVE_CORS_ORIGIN": "https://example.com",
        "DDIM_EDGE_SERVE_PORT": "no number",  # read by another command
        "DDIM_EDGE_EXPORT_LORA": "a",
        "DDIM_EDGE_BUILD_PROVIDER_OPTION": "a=b",
    }
    for name in (*OTHERS, *settings):
        monkeypatch.setenv(name, settings.get(name, ""))
    assert "2 steps" in invoke("run", tiny_bundle, "-o", "out.png").out
