"""Robot policies on the command line: observations in, actions out."""

import io
import json
import shlex
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.cli import main
from tests.helpers.command_line import Invoke
from tests.helpers.documents import blocks, shell_lines
from tests.helpers.policy_bundles import GOAL, STATE, observation, write_policy
from tests.helpers.tiny_bundles import Array

RUN = ("run", "push", "--conditioning", "seen.npz")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy called push, beside a file with two observations of two robots, which it decides from."""
    write_npz(tmp_path / "seen.npz", stacked((0, 1), (2, 3)))
    return write_policy(tmp_path / "push")


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    np.savez(path, **dict[str, Any](arrays))


def stacked(*robots: tuple[int, ...]) -> dict[str, Array]:
    """The observations with these seeds, of each robot the oldest first: (robots, times, …) by name."""
    rows = [[observation(seed) for seed in times] for times in robots]
    return {name: np.array([[seen[name] for seen in row] for row in rows]) for name in (STATE, GOAL)}


def actions(path: Path) -> Array:
    with np.load(path) as file:
        found: Array = file["actions"]
        return found


def test_actions_are_those_of_python(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    done = invoke(*RUN, "--seed", 7, "-o", "actions.npz")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("actions.npz  (4 actions of 2 robots, 10 steps of ddim, seed 7, on cpu in ")
    policy = ddim_edge.load_policy(folder, "cpu", seed=7, warm_up=False)
    policy.observe_many([observation(0), observation(2)])
    wanted = policy.act_many([observation(1), observation(3)])
    np.testing.assert_array_equal(actions(tmp_path / "actions.npz"), wanted)
    assert invoke(*RUN, "--seed", 7, "--format", "npy").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "push.npy"), wanted)


@pytest.mark.parametrize(
    ("arrays", "times"),
    [
        (observation(5), 1),  # of one robot, without any axis
        ({name: array[np.newaxis] for name, array in observation(5).items()}, 1),
        (stacked((5,)), 1),
        (stacked((4, 5)), 2),
    ],
)
def test_a_file_has_one_observation_or_a_window(
    invoke: Invoke, folder: Path, tmp_path: Path, arrays: Mapping[str, Array], times: int
) -> None:
    write_npz(tmp_path / "seen.npz", arrays)
    assert invoke(*RUN, "-s", 5, "--sampler", "ddpm", "-o", "a.npz").code == 0
    policy = ddim_edge.load_policy(folder, "cpu", sampler="ddpm", num_steps=5, warm_up=False)
    if times == 2:
        policy.observe(observation(4))
    np.testing.assert_array_equal(actions(tmp_path / "a.npz")[0], policy.act(observation(5)))


def test_the_file_says_how_it_was_made(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    facts = json.loads(invoke(*RUN, "-o", "a.npz", "--json").out)
    assert {name: facts[name] for name in ("file", "robots", "actions", "sampler", "steps", "seed")} == {
        "file": "a.npz",
        "robots": 2,
        "actions": 4,
        "sampler": "ddim",
        "steps": 10,
        "seed": 0,
    }
    with np.load(tmp_path / "a.npz") as file:
        recipe = json.loads(str(file["recipe"]))
    assert recipe["model_sha256"] == ddim_edge.load_policy(folder, "cpu", warm_up=False).bundle.sha256
    assert set(recipe["observations"]) == {STATE, GOAL}


def test_the_document_runs(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    (line,) = shell_lines(next(block.text for block in blocks("docs/policies.md") if "--conditioning" in block.text))
    assert invoke(*shlex.split(line)[1:]).code == 0
    policy = ddim_edge.load_policy(folder, "cpu", seed=1, warm_up=False)
    policy.observe_many([observation(0), observation(2)])
    wanted = policy.act_many([observation(1), observation(3)])
    np.testing.assert_array_equal(actions(tmp_path / "actions.npz"), wanted)


def test_a_file_that_exists_is_kept(invoke: Invoke, folder: Path) -> None:
    assert folder.is_dir()
    assert invoke(*RUN, "-o", "a.npz", "-q").out == ""
    assert invoke(*RUN, "-o", "a.npz").failed_with("a.npz exists: give --force")
    assert invoke(*RUN, "-o", "a.npz", "--force").code == 0
    assert [invoke(*RUN).out.split()[0] for _ in range(2)] == ["push.npz", "push-2.npz"]


def test_actions_may_go_to_standard_output(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert folder.is_dir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main([*RUN, "-o", "-"])
    with zipfile.ZipFile(io.BytesIO(capfdbinary.readouterr().out)) as archive:
        assert archive.namelist() == ["actions.npy", "recipe.npy"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "a.png"], "cannot write a.png: actions are written to a file that ends in .npz or .npy"),
        (["-o", "many/"], "cannot write many/"),
        (["-o", "a.npz", "--format", "npy"], "--format npy contradicts the name a.npz"),
        (["--gif"], "--gif is not for robot policies, and push is one: leave it out"),
        (["-n", "3"], "--num-images is not for robot policies"),
        (["--guidance-scale", "2"], "--guidance-scale is not for robot policies"),
        (["-s", "0"], "the number of steps must be a whole number from 1 to 100, not 0"),
        (["--sampler", "dim"], "Did you mean 'ddim'?"),
        (["--conditioning", "none.npz"], "none.npz"),
        (["--requests", "seen.npz"], "seen.npz"),
    ],
)
def test_what_does_not_fit_is_one_line(invoke: Invoke, folder: Path, options: list[str], message: str) -> None:
    assert folder.is_dir()
    assert invoke(*RUN, *options).failed_with(message)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({STATE: np.zeros((1, 3))}, "give observation.environment_state (robots, 1 to 2, 2), too"),
        ({"global_cond": np.zeros((1, 10))}, "observation 'global_cond' is unknown."),
        (
            {**stacked((0, 1, 2))},
            "observation.state has the shape (1, 3, 3): give observation.state (robots, 1 to 2, 3)",
        ),
        ({**stacked((0, 1)), STATE: np.zeros((1, 2, 4))}, "observation.state has the shape (1, 2, 4)"),
        ({**stacked((0, 1)), STATE: np.zeros((2, 1, 3))}, "must be of as many robots and times, not observation.state"),
        ({**stacked((0, 1)), STATE: np.full((1, 2, 3), np.nan)}, "observation.state has NaN or infinity"),
        ({**stacked((0, 1)), STATE: np.full((1, 2, 3), "x")}, "observation.state must be numbers"),
    ],
)
def test_wrong_observations_are_named(
    invoke: Invoke, folder: Path, tmp_path: Path, arrays: Mapping[str, Array], message: str
) -> None:
    assert folder.is_dir()
    write_npz(tmp_path / "seen.npz", arrays)
    assert invoke(*RUN).failed_with(message)


def test_without_observations_it_says_what_it_wants(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    assert folder.is_dir()
    assert invoke("run", "push").failed_with("give --conditioning FILE.npz with observation.state (robots, 1 to 2, 3)")
    (tmp_path / "rows.csv").write_text("seed\n1\n")
    assert invoke("run", "push", "--requests", "rows.csv").failed_with("is a robot policy, which --requests does not")
