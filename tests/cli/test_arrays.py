"""Models that make arrays, and those that take arrays by name, on the command line."""

import contextlib
import io
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddim_edge.images.encode import read_recipe
from tests.helpers.array_bundles import CONDITION, array_model, write_array_bundle
from tests.helpers.command_line import Invoke
from tests.helpers.documents import blocks, shell_lines

SHAPE = (6, 2)
OUTPUT = {"kind": "array", "axes": ["time", "action"], "units": "m", "names": ["x", "y"]}
RUN = ("--conditioning", "c.npz", "-s", 3)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of samples (6, 2) that takes three numbers, beside a file with two rows of them."""
    np.savez(tmp_path / "c.npz", global_cond=np.arange(6, dtype=np.float32).reshape(2, 3))
    return write_array_bundle(tmp_path / "policy", SHAPE, array_model(SHAPE, condition=3), output=OUTPUT)


def samples(path: Path) -> Any:
    with np.load(path) as file:
        return file["samples"]


def test_a_run_writes_floats_with_their_recipe(invoke: Invoke, bundle: Path, tmp_path: Path) -> None:
    done = invoke("run", bundle, *RUN)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("policy.npz  (2 arrays, 3 steps of ddim, seed 0, ")
    found = samples(tmp_path / "policy.npz")
    assert (found.shape, found.dtype) == ((2, *SHAPE), np.float32)
    assert invoke("run", bundle, *RUN, "-o", "out.npy").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), found)
    with np.load(tmp_path / "policy.npz") as file:
        assert list(json.loads(str(file["recipe"]))["conditioning"]) == [CONDITION]


def test_the_same_run_is_known_and_another_replaces_nothing(invoke: Invoke, bundle: Path) -> None:
    assert invoke("run", bundle, *RUN, "-o", "out.npz").code == 0
    assert "nothing was made" in invoke("run", bundle, *RUN, "-o", "out.npz").out
    assert invoke("run", bundle, *RUN, "--seed", 1, "-o", "out.npz").failed_with("out.npz", "--force")
    assert invoke("run", bundle, *RUN, "-o", "out.npy").code == 0
    assert invoke("run", bundle, *RUN, "-o", "out.npy").failed_with("out.npy", "--force")


def test_a_file_makes_its_samples_again(invoke: Invoke, bundle: Path, tmp_path: Path) -> None:
    assert invoke("run", bundle, *RUN, "-o", "out.npz").code == 0
    again = ("run", bundle, "--from-image", "out.npz", "-o", "again.npz")
    assert invoke(*again).failed_with("give the same conditioning")
    assert invoke(*again, "--conditioning", "c.npz").code == 0
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "out.npz").read_bytes()


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_folder_run_goes_on(invoke: Invoke, bundle: Path, tmp_path: Path, suffix: str) -> None:
    command = ("run", bundle, *RUN, "-b", 1, "--format", suffix, "-o", "many/")
    assert invoke(*command).code == 0
    second = tmp_path / "many" / f"000001.{suffix}"
    before = second.read_bytes()
    second.write_bytes(before[:-9])
    assert "1 array, 1 more were there" in invoke(*command).out
    assert second.read_bytes() == before
    np.savez(tmp_path / "c.npz", global_cond=np.ones((2, 3)))
    assert invoke(*command).failed_with("another run")


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_rows_of_a_table_have_a_file_each(invoke: Invoke, bundle: Path, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "rows.csv").write_text("num_steps\n3\n3\n")
    table = ("run", bundle, "--requests", "rows.csv", "--conditioning", "c.npz")
    assert invoke(*table, "--format", suffix, "-o", "many/").code == 0
    assert invoke("run", bundle, *RUN, "-o", "out.npy").code == 0
    for index, wanted in enumerate(np.load(tmp_path / "out.npy")):
        path = tmp_path / "many" / f"00000{index}.{suffix}"
        np.testing.assert_array_equal(np.load(path) if suffix == "npy" else samples(path), wanted)
    assert invoke(*table, "-o", "more/", "--format", "png").failed_with("a .png file cannot hold")
    (tmp_path / "rows.csv").write_text("num_steps\n3\n3\n3\n")
    assert invoke(*table, "-o", "more/").failed_with("has 2 rows, and there are 3 images")


def test_a_picture_has_the_hash_of_its_conditioning(invoke: Invoke, tmp_path: Path) -> None:
    folder = write_array_bundle(tmp_path / "pictures", (1, 8, 8), array_model((1, 8, 8), condition=3))
    np.savez(tmp_path / "c.npz", global_cond=np.ones(3))
    assert invoke("run", folder, *RUN, "-o", "a.png").code == 0
    assert list(read_recipe(tmp_path / "a.png")["conditioning"]) == [CONDITION]
    again = ("run", folder, "--from-image", "a.png", "-o", "b.png")
    assert invoke(*again).failed_with("give the same conditioning")
    assert invoke(*again, "--conditioning", "c.npz").code == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    np.savez(tmp_path / "c.npz", global_cond=np.zeros(3))
    assert invoke(*again, "--conditioning", "c.npz", "--force").failed_with("made with another global_cond")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "needs an array for global_cond float32 (batch, 3)"),
        ([*RUN, "-o", "x.png"], "makes arrays, which a .png file cannot hold: take .npy or .npz"),
        ([*RUN, "-o", "x/", "--format", "webp"], "which a .webp file cannot hold"),
        ([*RUN, "-o", "-", "--format", "png"], "which a .png file cannot hold"),
        ([*RUN, "--gif"], "--gif is for pictures"),
        ([*RUN, "--show"], "--show is for pictures"),
        ([*RUN, "--save-every", "2"], "--save-every is for pictures"),
        ([*RUN, "--init-image", "a.png"], "--init-image is for pictures"),
        ([*RUN, "--enlarge", "2"], "--enlarge is for pictures"),
        ([*RUN, "--control-image", "a.png"], "--control-image is for pictures"),
        ([*RUN, "-n", "3"], "has 2 rows, and there are 3 images"),
        ([*RUN, "-g", "2"], "needs a null class"),
        ([*RUN, "--max-memory", "2GB"], "max_memory is estimated for images"),
        (["--conditioning", "none.npz"], "none.npz"),
    ],
)
def test_what_does_not_fit_is_one_line(invoke: Invoke, bundle: Path, options: list[str], message: str) -> None:
    assert invoke("run", bundle, *options).failed_with(message)


def test_conditioning_is_read_before_a_network_is_opened(invoke: Invoke, bundle: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", global_cond=np.zeros((2, 4)))
    contents = (bundle / "unet" / "model.onnx").read_bytes().replace(b"ReduceMean", b"ReduceLean")
    (bundle / "unet" / "model.onnx").write_bytes(contents)  # it can be read, and not be opened
    assert invoke("run", bundle, *RUN).failed_with("has the shape (2, 4), and the graph takes")


def test_models_without_such_inputs_refuse_conditioning(invoke: Invoke, tiny_bundle: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", global_cond=np.zeros(3))
    assert invoke("run", tiny_bundle, *RUN).failed_with("takes no conditioning by name")


def test_images_may_be_written_as_floats(invoke: Invoke, tiny_bundle: Path, tmp_path: Path) -> None:
    assert invoke("run", tiny_bundle, "-n", 2, "-s", 3, "-o", "out.npz").code == 0
    assert invoke("run", tiny_bundle, "-n", 2, "-s", 3, "-o", "out.npy").code == 0
    assert samples(tmp_path / "out.npz").shape == (2, 1, 8, 8)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), samples(tmp_path / "out.npz"))


def test_inspect_says_what_it_is(invoke: Invoke, bundle: Path) -> None:
    told = invoke("inspect", bundle).out
    assert "arrays of shape (6, 2), axes time, action, of x, y, in m" in told
    assert "conditioning by name: global_cond float32 (batch, 3)" in told
    assert "does not run" not in told
    facts = json.loads(invoke("inspect", bundle, "--json").out)
    assert (facts["sample_shape"], facts["image_shape"], facts["output"]) == ([6, 2], None, OUTPUT)
    assert facts["conditioning"] == {CONDITION: "global_cond float32 (batch, 3)"}


def test_inspect_says_why_a_bundle_does_not_run(invoke: Invoke, tmp_path: Path) -> None:
    folder = write_array_bundle(tmp_path / "arrays", (3, 8, 8), array_model((16, 2)))
    told = invoke("inspect", folder)
    assert told.code == 0
    assert "it does not run: " in told.out
    assert "unet takes samples of the shape (16, 2), and its config.json describes (3, 8, 8)" in told.out
    graphs = json.loads(invoke("inspect", folder, "--json").out)["graphs"]
    assert "describes (3, 8, 8)" in graphs[0]["fault"]


def test_models_lists_it(invoke: Invoke, bundle: Path, tmp_path: Path) -> None:
    rows = [line.split() for line in invoke("models", tmp_path).out.splitlines()]
    assert [f"{bundle}/", "folder", CONDITION, "6x2"] in [row[:4] for row in rows]


def test_commands_for_pictures_refuse_it(invoke: Invoke, bundle: Path) -> None:
    assert invoke("tune", bundle).failed_with("and no images")
    assert invoke("interpolate", bundle, 1, 2).failed_with("and no images")


def test_it_is_built(invoke: Invoke, bundle: Path) -> None:
    assert invoke("build", bundle, "--provider", "cpu", "--beside").code == 0
    assert invoke("run", bundle, *RUN, "-o", "out.npy").code == 0


def test_the_document_runs(invoke: Invoke, tmp_path: Path) -> None:
    """docs/arrays.md, beside the bundle and the file that it names."""
    write_array_bundle(tmp_path / "policy", (16, 2), array_model((16, 2), condition=3), output=OUTPUT)
    np.savez(tmp_path / "seen.npz", global_cond=np.ones((2, 3), np.float32))
    python, shell = (block for block in blocks("docs/arrays.md") if block.run_by)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(python.text, python.name, "exec"), {})
    assert printed.getvalue() == "(16, 2) ['global_cond']\n(2, 16, 2) float32\n"
    (tmp_path / "actions.npz").unlink()
    for line in shell_lines(shell.text):
        assert invoke(*shlex.split(line)[1:]).code == 0, line
    assert samples(tmp_path / "actions.npz").shape == (2, 16, 2)
