"""``run --cache``: fewer network calls, told in the summary and the recipe, the same files however often it is run."""

import json
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.cli import run as run_module
from ddim_edge.generation.engine import Job
from ddim_edge.images.encode import read_recipe
from tests.helpers.command_line import Invoke

CACHED = ["--sampler", "ddim", "--num-steps", 20, "--num-images", 5, "--batch-size", 2, "--cache", "forecast"]


def test_the_summary_and_json_say_whole_and_cached_calls(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    told = invoke("run", tiny_bundle, *CACHED, "-o", "out.png").out
    assert "(5 images, 20 steps of ddim, 8 calls whole and 12 forecast, seed 0, " in told
    assert read_recipe(tmp_path / "out.png")["cache"] == "forecast:3"
    facts = json.loads(invoke("run", tiny_bundle, *CACHED, "-o", "json.png", "--json").out)
    assert (facts["network_calls"], facts["whole_calls"], facts["cached_calls"]) == (8, 8, 12)


@pytest.mark.parametrize("kind", ["forecast", "deep"])
def test_with_a_threshold_they_are_those_of_the_images_that_were_made(
    invoke: Invoke, deep_bundle: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    whole: list[int] = []
    ends = Job._end

    def counted(job: Job, *result: Any) -> None:
        whole.append(job.whole_calls)
        ends(job, *result)

    options = ["run", deep_bundle, *CACHED[:-1], f"{kind}:5", "--cache-threshold", 0.06, "--labels", "cat,dog"]
    told = invoke(*options, "-o", "out.png").out
    monkeypatch.setattr(Job, "_end", counted)
    facts = json.loads(invoke(*options, "-o", "many/", "--json").out)
    how = "forecast" if kind == "forecast" else "shallow"
    assert len(set(whole)) > 1
    assert f"20 steps of ddim, {min(whole)} to {max(whole)} calls whole and the rest {how}, " in told
    assert (facts["whole_calls"], facts["cached_calls"]) == (sum(whole) / 5, pytest.approx(20 - sum(whole) / 5))
    assert facts["network_calls"] == (sum(whole) / 5 if kind == "forecast" else 20)
    again = json.loads(invoke("run", "--from-image", "many/000004.png", "-o", "one.png", "--json").out)
    assert again["whole_calls"] == whole[4]


def test_off_and_an_n_of_1_are_the_picture_without_it(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    for name, options in {"plain": [], "off": ["--cache", "off"], "one": ["--cache", "forecast:1"]}.items():
        assert invoke("run", tiny_bundle, *CACHED[:-2], *options, "-o", f"{name}.npy").code == 0
        assert invoke("run", tiny_bundle, *CACHED[:-2], *options, "-o", f"{name}.png").code == 0
    assert len({(tmp_path / f"{name}.npy").read_bytes() for name in ("plain", "off", "one")}) == 1
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "off.png").read_bytes()


def test_a_cached_picture_comes_again_from_its_recipe(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    options = ["--cache-threshold", 0.3]
    assert invoke("run", tiny_bundle, *CACHED, *options, "-o", "many/").code == 0
    assert invoke("run", tiny_bundle, "--from-image", "many/000003.png", "-o", "again.png").code == 0
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "many/000003.png").read_bytes()


def test_a_folder_goes_on_with_the_same_pictures(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    command = ["run", tiny_bundle, *CACHED, "--cache-threshold", 0.3, "--save-every", 3, "-o", "many/"]
    assert invoke(*command).code == 0
    whole = {path.name: path.read_bytes() for path in (tmp_path / "many").iterdir()}
    (tmp_path / "many" / "000002.png").unlink()
    assert "(2 images, 3 more were there, " in invoke(*command).out
    assert {path.name: path.read_bytes() for path in (tmp_path / "many").iterdir()} == whole


def test_a_table_has_columns_for_it(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "rows.csv").write_text("seed,cache,cache_threshold\n1,forecast:2,\n1,,\n1,forecast:4,0.5\n")
    options = ["--sampler", "ddim", "--num-steps", 20, "--batch-size", 3, "-o", "out/"]
    assert invoke("run", tiny_bundle, "--requests", "rows.csv", *options).code == 0
    recipes = [read_recipe(tmp_path / f"out/{row:06d}.png") for row in range(3)]
    assert [recipe.get("cache") for recipe in recipes] == ["forecast:2", None, "forecast:4"]
    assert [recipe.get("cache_threshold") for recipe in recipes] == [None, None, 0.5]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--cache", "forecast:0"], "N must be from 1 to 1000, not 0"),
        (["--cache", "forecast:x"], "cache must be off, forecast, forecast:N, deep"),
        (["--cache", "forecast:21"], "cache forecast:21 makes one call in 21 whole, and this run makes 20"),
        (["--cache", "forecast:2", "--num-steps", "1"], "at least 2 network calls, and this run makes 1"),
        (["--cache", "deep"], "export the model with --step-cache"),
        (["--cache-threshold", "0.1"], "cache_threshold needs a cache"),
        (["--cache", "forecast", "--cache-threshold", "nan"], "cache_threshold must be a finite number"),
    ],
)
def test_bad_input_is_one_line_before_a_network_is_opened(
    invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], part: str
) -> None:
    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("a network was opened")

    monkeypatch.setattr(run_module, "Pipeline", opened)
    assert invoke("run", tiny_bundle, "--sampler", "ddim", "--num-steps", "20", *options).failed_with(part)
