"""``--seed``, and what a run says about it and about a folder that it goes on with."""

import json
from pathlib import Path

import pytest

from ddim_edge.cli import seed
from ddim_edge.images.encode import read_recipe
from tests.helpers.command_line import Invoke


def test_a_random_seed_is_in_the_summary_and_in_the_recipe(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda _limit: 123456)
    outcome = invoke("run", tiny_bundle, "-s", 1, "--seed", "random", "-o", "one.png")
    assert ", seed 123456, " in outcome.out
    assert read_recipe(tmp_path / "one.png")["seed"] == 123456
    monkeypatch.undo()
    facts = json.loads(invoke("run", tiny_bundle, "-s", 1, "--seed", "random", "--json").out)
    assert facts["seed"] == facts["recipe"]["seed"]
    assert 0 <= facts["seed"] < 2**31


def test_the_default_seed_is_said(invoke: Invoke, tiny_bundle: Path) -> None:
    assert ", seed 0, " in invoke("run", tiny_bundle, "-s", 1).out


def test_rows_of_a_table_follow_a_random_seed(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda _limit: 50)
    (tmp_path / "t.csv").write_text("num_steps\n1\n1\n")
    outcome = invoke("run", tiny_bundle, "--requests", "t.csv", "--seed", "random", "-o", "rows/")
    assert "(2 images, seed 50, on " in outcome.out
    assert read_recipe(tmp_path / "rows/000001.png")["seed"] == 51


def test_shards_need_a_number(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "t.csv").write_text("num_steps\n1\n")
    command = ("run", tiny_bundle, "-s", 1, "--seed", "random", "-o", "many/", "--shard", "0/2")
    for table in ((), ("--requests", "t.csv")):
        assert invoke(*command, *table).failed_with("--seed random draws a seed for each process: give all shards")


def test_another_word_is_no_seed(invoke: Invoke) -> None:
    assert invoke("run", "--seed", "any").failed_with("--seed must be a whole number, or random, not 'any'")


def test_what_to_run_to_go_on() -> None:
    assert seed.same_command(3) == "run the same command"
    assert seed.same_command(seed.DrawnSeed(3)) == "run the same command with --seed 3"


def test_a_finished_folder_is_said_to_be_finished(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    command = ("run", tiny_bundle, "-s", 1, "-n", 5, "-b", 2, "-o", "many/")
    assert "many  (5 images, 1 step of ddim, seed 0, " in invoke(*command).out
    finished = invoke(*command)
    assert finished.code == 0
    assert finished.out == "many  (finished before: 5 images of this run were there, none was made)\n"
    facts = json.loads(invoke(*command, "--json").out)
    assert (facts["images"], facts["images_there_before"]) == (0, 5)
    (tmp_path / "many/000004.png").unlink()
    assert "many  (1 image, 4 more were there, 1 step of ddim, " in invoke(*command).out
