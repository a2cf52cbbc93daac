"""Nothing that exists is replaced without --force, whichever command writes it."""

from pathlib import Path

import numpy as np
import pytest

from ddim_edge.generation.pipeline import Pipeline
from ddim_edge.images.encode import read_recipe
from tests.helpers.command_line import Invoke

EXISTS = "exists: give --force to replace it, or another name"
RUN = ("-s", 2, "-n", 2)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def _no_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pipeline, "__init__", lambda *_arguments, **_options: pytest.fail("a model was opened"))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_the_same_picture_is_left_and_another_one_is_refused(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    command = ("run", tiny_bundle, *RUN, "-o", name)
    assert invoke(*command).code == 0
    before = (tmp_path / name).stat()
    with monkeypatch.context() as patch:
        _no_networks(patch)
        again = invoke(*command)
        assert (again.code, again.err) == (0, "")
        assert again.out == f"{name} is already this picture: nothing was made (--force makes it again)\n"
        assert '"images": 0, "images_there_before": 2,' in invoke(*command, "--json").out
        assert invoke(*command, "--quiet").out == ""
        for other in (["--seed", 1], ["--enlarge", 3], ["--eta", 1]):
            assert invoke(*command, *other).failed_with(f"{name} {EXISTS}")
    assert (tmp_path / name).stat().st_mtime_ns == before.st_mtime_ns
    assert invoke(*command, "--seed", 1, "--force").code == 0
    assert read_recipe(tmp_path / name)["seed"] == 1


def test_files_that_carry_no_recipe_of_this_run_are_refused(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("run", tiny_bundle, *RUN, "-o", "a.npy").code == 0
    assert invoke("run", tiny_bundle, *RUN, "-o", "cut.png").code == 0
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-1])
    (tmp_path / "text.png").write_text("mine")
    (tmp_path / "link.png").symlink_to("nowhere")
    (tmp_path / "b.gif").write_text("mine")
    (tmp_path / "c-call-0002.png").write_text("mine")
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.iterdir()}
    _no_networks(monkeypatch)
    for name in ("a.npy", "cut.png", "text.png", "link.png"):
        assert invoke("run", tiny_bundle, *RUN, "-o", name).failed_with(f"{name} {EXISTS}")
    assert invoke("run", tiny_bundle, *RUN, "-o", "b.png", "--gif").failed_with(f"b.gif {EXISTS}")
    assert invoke("run", tiny_bundle, *RUN, "-o", "c.png", "--save-every", 2).failed_with(f"c-call-0002.png {EXISTS}")
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_what_is_missing_beside_a_picture_is_made(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    command = ("run", tiny_bundle, *RUN, "--gif", "--save-every", 1, "-o", "a.png")
    assert invoke(*command).code == 0
    whole, before = _contents(tmp_path), (tmp_path / "a.png").stat().st_mtime_ns
    assert sorted(whole) == ["a-call-0001.png", "a-call-0002.png", "a.gif", "a.png"]
    assert "is already this picture" in invoke(*command).out
    (tmp_path / "a.gif").unlink()
    assert "(2 images" in invoke(*command).out
    assert _contents(tmp_path) == whole
    assert (tmp_path / "a.png").stat().st_mtime_ns == before
    assert invoke(*command, "--seed", 1, "--force").code == 0
    assert all(contents != whole[name] for name, contents in _contents(tmp_path).items())


def test_a_file_that_appears_meanwhile_is_not_replaced(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Pipeline.check

    def check(self: Pipeline, request: object) -> None:
        (tmp_path / "a.png").write_text("another program's")
        whole(self, request)  # type: ignore[arg-type]

    monkeypatch.setattr(Pipeline, "check", check)
    assert invoke("run", tiny_bundle, *RUN, "-o", "a.png").failed_with(f"a.png {EXISTS}")
    assert _contents(tmp_path) == {"a.png": b"another program's"}


def test_a_new_name_has_no_estimates_of_another_run(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "tiny-call-0001.png").touch()
    assert invoke("run", tiny_bundle, *RUN, "--save-every", 1).out.startswith("tiny-2.png  (")


@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_a_folder_of_another_run_is_replaced(invoke: Invoke, tmp_path: Path, tiny_bundle: Path, suffix: str) -> None:
    command = ("run", tiny_bundle, "-s", 2, "--format", suffix, "-o")
    assert invoke(*command, "a/", "-n", 5, "--save-every", 1).code == 0
    (tmp_path / "a" / "mine.png").write_text("mine")
    (tmp_path / "a" / "000007.png").write_text("mine")
    assert invoke(*command, "a/", "-n", 3).failed_with("holds the images of another run", "or --force to replace them")
    assert "(3 images" in invoke(*command, "a/", "-n", 3, "--force").out
    assert "none was made" in invoke(*command, "a/", "-n", 3, "--force").out
    assert invoke(*command, "b/", "-n", 3).code == 0
    kept = {"mine.png": b"mine", "000007.png": b"mine"}
    assert _contents(tmp_path / "a") == {**_contents(tmp_path / "b"), **kept}


def test_pictures_in_a_folder_without_a_run_are_not_taken_for_its_own(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("run", tiny_bundle, "-s", 1, "-n", 3, "-o", "whole/").code == 0
    folder, mine = tmp_path / "a", (tmp_path / "whole" / "000001.png").read_bytes()[:-1]
    folder.mkdir()
    for name in ("000001.png", "000003.png"):
        (folder / name).write_bytes(mine)
    command = ("run", tiny_bundle, "-s", 1, "-n", 3, "-o", "a/")
    with monkeypatch.context() as patch:
        _no_networks(patch)
        assert invoke(*command).failed_with("a has 000001.png already, and no run.json of a run to go on with")
    assert sorted(_contents(folder)) == ["000001.png", "000003.png"]
    assert invoke(*command, "--force").code == 0
    assert _contents(folder) == {**_contents(tmp_path / "whole"), "000003.png": mine}


def test_a_table_of_requests_has_the_same_rule(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "t.csv").write_text("seed\n1\n2\n")
    command = ("run", tiny_bundle, "--requests", "t.csv", "-o", "a/", "-s")
    assert invoke(*command, 1).code == 0
    before = _contents(tmp_path / "a")
    assert invoke(*command, 2).failed_with("holds the images of another run")
    assert _contents(tmp_path / "a") == before
    assert "(2 images" in invoke(*command, 2, "--force").out
    assert read_recipe(tmp_path / "a" / "000001.png")["num_steps"] == 2


def test_shards_do_not_remove_each_others_images(invoke: Invoke, tiny_bundle: Path) -> None:
    outcome = invoke("run", tiny_bundle, "-o", "a/", "--shard", "0/2", "--force")
    assert outcome.failed_with("--force could remove the images of other shards")


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.npy", "a/"])
def test_an_interpolation_has_the_same_rule(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    command, carries = ("interpolate", tiny_bundle, 3, 4, "-s", 2, "-o", name), name in ("a.png", "a/")
    assert invoke(*command, "--frames", 2).code == 0
    before = _times(tmp_path)
    again = invoke(*command, "--frames", 2)
    assert again.code == 0 if carries else again.failed_with(f"{name} {EXISTS}")
    assert ("nothing was made" in again.out or "none was made" in again.out) == carries
    if name != "a/":
        with monkeypatch.context() as patch:
            _no_networks(patch)
            assert invoke(*command, "--frames", 3).failed_with(EXISTS)
    assert invoke(*command, "--frames", 2, "-s", 3).code == 2
    assert _times(tmp_path) == before
    assert invoke(*command, "--frames", 3, "--force").code == 0
    assert all(time != before.get(path) for path, time in _times(tmp_path).items())


def test_an_encoding_has_the_same_rule(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("run", tiny_bundle, *RUN[:2], "-n", 1, "-o", "a.png").code == 0
    command = ("encode", tiny_bundle, "a.png", "-o", "a.npz", "-s")
    assert invoke(*command, 1).code == 0
    before = (tmp_path / "a.npz").read_bytes()
    with monkeypatch.context() as patch:
        _no_networks(patch)
        assert invoke(*command, 2).failed_with(f"a.npz {EXISTS}")
    assert (tmp_path / "a.npz").read_bytes() == before
    assert invoke(*command, 2, "--force").code == 0
    assert not np.array_equal(before, (tmp_path / "a.npz").read_bytes())


def test_force_is_an_option_as_all_others(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("run", tiny_bundle, *RUN, "-o", "a.png", "--seed")
    assert invoke(*command, 1).code == 0
    with monkeypatch.context() as patch:
        patch.setenv("DDIM_EDGE_RUN_FORCE", "1")
        assert invoke(*command, 2).code == 0
    (tmp_path / "ddim-edge.toml").write_text("[run]\nforce = true\n")
    assert invoke(*command, 3).code == 0
    assert read_recipe(tmp_path / "a.png")["seed"] == 3
