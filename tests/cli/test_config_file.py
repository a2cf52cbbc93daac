"""ddim-edge.toml: default values of options."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.command_line import Invoke

NAME = "ddim-edge.toml"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "ddim-edge").mkdir(parents=True)
    return tmp_path


def recipe(invoke: Invoke, model: Path, *arguments: object) -> dict[str, Any]:
    outcome = invoke("run", model, "--output", "x.png", "--json", *arguments)
    assert outcome.code == 0, outcome.err
    read: dict[str, Any] = json.loads(outcome.out)["recipe"]
    return read


def test_the_current_folder_wins_over_the_users_file(invoke: Invoke, tiny_bundle: Path, here: Path) -> None:
    (here / NAME).write_text('[run]\nnum-steps = 7\nlabels = ["dog", "cat"]\n', encoding="utf-8")
    (here / "config" / "ddim-edge" / NAME).write_text("[run]\nnum-steps = 9\nseed = 5\n", encoding="utf-8")
    made = recipe(invoke, tiny_bundle)
    assert (made["num_steps"], made["seed"], made["label_names"]) == (7, 5, ["dog", "cat"])


def test_a_variable_and_the_command_line_win_over_the_file(
    invoke: Invoke, tiny_bundle: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / NAME).write_text("[run]\nnum_steps = 7\nseed = 5\n", encoding="utf-8")
    monkeypatch.setenv("DDIM_EDGE_RUN_SEED", "6")
    made = recipe(invoke, tiny_bundle, "--num-steps", 8)
    assert (made["num_steps"], made["seed"]) == (8, 6)


def test_every_spelling_of_an_option_is_an_entry(invoke: Invoke, tiny_bundle: Path, here: Path) -> None:
    (here / NAME).write_text("[run]\nsteps = 7\n", encoding="utf-8")
    assert recipe(invoke, tiny_bundle)["num_steps"] == 7


def test_flags_and_repeatable_options(invoke: Invoke, tiny_bundle: Path, here: Path) -> None:
    (here / NAME).write_text('[run]\nquiet = true\nsampler-config = ["eta=0.5"]\n', encoding="utf-8")
    outcome = invoke("run", tiny_bundle, "--output", "x.png")
    assert (outcome.code, outcome.out) == (0, "")
    (here / NAME).unlink()
    assert recipe(invoke, tiny_bundle, "--from-image", "x.png")["eta"] == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[run\n", "cannot be read as TOML"),
        ("[rum]\n", r"table 'rum' is unknown. Did you mean 'run'"),
        ("run = 3\n", "run must be a table of options"),
        ("[run]\nnum-step = 3\n", "option 'num_step' is unknown. Did you mean 'num_steps'"),
        ('[run]\nnum-steps = "many"\n', "'many' is not a whole number. It is num-steps in ddim-edge.toml"),
    ],
)
def test_a_mistake_is_one_line(invoke: Invoke, here: Path, text: str, message: str) -> None:
    (here / NAME).write_text(text, encoding="utf-8")
    outcome = invoke("run")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert message in outcome.err


def test_another_commands_table_is_not_read(invoke: Invoke, tiny_bundle: Path, here: Path) -> None:
    (here / NAME).write_text("[serve]\nport = 9000\n", encoding="utf-8")
    assert recipe(invoke, tiny_bundle)["seed"] == 0
