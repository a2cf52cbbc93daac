"""``ddim-edge run``: the options, the files and what is printed."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ddim_edge
from ddim_edge.images.encode import grid, read_recipe
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import LABELS


def test_without_anything_but_a_model_it_makes_a_grid_of_sixteen(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path
) -> None:
    outcome = invoke("run", tiny_bundle, "--steps", 2)
    assert outcome.code == 0
    assert outcome.err == ""
    assert outcome.out.startswith("tiny.png  (16 images, 2 steps of ddim, seed 0, on ")
    with Image.open(tmp_path / "tiny.png") as picture:
        images = ddim_edge.load(tiny_bundle).generate(num_images=16, num_steps=2).images
        large = np.asarray(picture)
        np.testing.assert_array_equal(large[::16, ::16], grid(images)[:, :, 0])
        np.testing.assert_array_equal(large, large[::16, ::16].repeat(16, 0).repeat(16, 1))


@pytest.mark.parametrize(
    ("arguments", "size"), [(["-n", 1], (8, 8)), (["-n", 1, "--enlarge", 3], (24, 24)), (["-n", 4], (256, 256))]
)
def test_a_grid_of_small_images_is_enlarged(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, arguments: list[Any], size: tuple[int, int]
) -> None:
    assert invoke("run", tiny_bundle, "--steps", 2, "-o", "x.png", *arguments).code == 0
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.size == size
    assert "enlarge" not in read_recipe(tmp_path / "x.png")


def test_enlarge_1_leaves_a_grid_as_it_is(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, "--steps", 2, "-n", 4, "--enlarge", 1, "--gif", "-o", "x.png").code == 0
    assert invoke("run", tiny_bundle, "--steps", 2, "-n", 1, "--gif", "-o", "y.png").code == 0
    sizes = {}
    for name in ("x.png", "x.gif", "y.png", "y.gif"):
        with Image.open(tmp_path / name) as picture:
            sizes[name] = picture.size
    assert sizes == {"x.png": (16, 16), "x.gif": (16, 16), "y.png": (8, 8), "y.gif": (128, 128)}


def test_enlarge_is_not_for_folders(invoke: Invoke, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, "--enlarge", 2, "-o", "images/").failed_with("--enlarge is for one picture file")


def test_the_bundled_model_needs_no_argument(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("run", "--steps", 1, "--num-images", 2).code == 0
    assert read_recipe(tmp_path / "fashion-mnist.png")["model"] == "fashion-mnist"


def test_the_default_name_overwrites_nothing(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    for seed in range(3):
        assert invoke("run", tiny_bundle, "-s", 1, "-n", 1, "--seed", seed).code == 0
    names = ["tiny.png", "tiny-2.png", "tiny-3.png"]
    assert [read_recipe(tmp_path / name)["seed"] for name in names] == [0, 1, 2]


def test_every_option_reaches_the_recipe(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    scheduler = tmp_path / "scheduler.json"
    scheduler.write_text('{"timestep_spacing": "trailing"}')
    options = "--num-images 3 --labels dog,0 --num-steps 4 --eta 0.5 --seed 9 --guidance-scale 2 --batch-size 2"
    more = "--noise numpy --sampler-config clip_range=0.8 -c rederive_noise=true --provider cpu --output out.png"
    assert invoke("run", tiny_bundle, *options.split(), *more.split(), "--scheduler", scheduler).code == 0
    recipe = read_recipe(tmp_path / "out.png")
    assert recipe["label_names"] == ["dog", "cat"]
    assert recipe["model"] == str(tiny_bundle)
    assert {
        key: recipe[key] for key in ("num_images", "num_steps", "seed", "guidance_scale", "batch_size", "noise")
    } == {
        "num_images": 3,
        "num_steps": 4,
        "seed": 9,
        "guidance_scale": 2.0,
        "batch_size": 2,
        "noise": "numpy",
    }
    assert recipe["sampler"] == {
        "name": "ddim",
        "timestep_spacing": "trailing",
        "eta": 0.5,
        "clip_range": 0.8,
        "rederive_noise": True,
    }


def test_labels_alone_say_how_many(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, "-s", 1, "-l", "dog, ångström,0", "-o", "out.npy").code == 0
    assert np.load(tmp_path / "out.npy").shape == (3, 1, 8, 8)


def test_json_is_one_line_that_can_be_parsed(invoke: Invoke, tiny_bundle: Path) -> None:
    outcome = invoke("run", tiny_bundle, "-s", 2, "-n", 3, "--json", "-p", "cpu")
    assert outcome.out.count("\n") == 1
    facts = json.loads(outcome.out)
    assert (facts["file"], facts["images"], facts["steps"], facts["provider"]) == ("tiny.png", 3, 2, "cpu")
    assert facts["images_per_second"] > 0
    assert facts["recipe"]["num_images"] == 3


def test_quiet_prints_nothing(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    outcome = invoke("run", tiny_bundle, "-s", 1, "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert (tmp_path / "tiny.png").exists()


def test_format_names_the_file_and_the_folders_files(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, "-s", 1, "-n", 2, "--format", "npy").code == 0
    assert invoke("run", tiny_bundle, "-s", 1, "-n", 2, "--format", "npy", "-o", "many/").code == 0
    many = [np.load(tmp_path / "many" / f"{index:06d}.npy") for index in range(2)]
    np.testing.assert_array_equal(np.load(tmp_path / "tiny.npy"), np.stack(many))


@pytest.mark.parametrize("name", ["images", "images/", "images.v2/", "deep/images"])
def test_a_folder_takes_a_file_an_image(invoke: Invoke, tmp_path: Path, tiny_bundle: Path, name: str) -> None:
    assert invoke("run", tiny_bundle, "-s", 1, "-n", 2, "-o", name).code == 0
    names = sorted(path.name for path in (tmp_path / name).iterdir())
    assert names == ["000000.png", "000001.png", "run.json"]


def test_a_gif_has_a_frame_a_step_and_ends_on_the_picture(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, "-s", 6, "-n", 3, "-b", 2, "--gif", "-o", "out.png").code == 0
    with Image.open(tmp_path / "out.gif") as animation, Image.open(tmp_path / "out.png") as picture:
        assert animation.n_frames == 6  # type: ignore[attr-defined]
        assert animation.size == picture.size
        animation.seek(5)
        last = np.asarray(animation.convert("L")).astype(int)
        assert np.abs(last - np.asarray(picture)).max() <= 1


def test_environment_variables_set_options(invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"NUM_STEPS": "3", "NUM_IMAGES": "2", "LABELS": "dog", "JSON": "1", "FORMAT": "npy", "ETA": "0.5"}
    for name, value in values.items():
        monkeypatch.setenv(f"DDIM_EDGE_RUN_{name}", value)
    facts = json.loads(invoke("run", tiny_bundle, "--eta", 1).out)
    assert (facts["file"], facts["steps"], facts["images"]) == ("tiny.npy", 3, 2)
    assert (facts["recipe"]["label_names"], facts["recipe"]["eta"]) == (["dog"], 1.0)
    monkeypatch.setenv("DDIM_EDGE_RUN_NUM_STEPS", "many")
    assert invoke("run", tiny_bundle).failed_with("'many' is not a whole number")


@pytest.mark.slow
def test_a_run_of_many_images_holds_no_more_memory_than_one_of_few(invoke: Invoke, tiny_bundle: Path) -> None:
    def peak(count: int, folder: str) -> int:
        tracemalloc.start()
        assert invoke("run", tiny_bundle, "-s", 1, "-n", count, "-o", folder).code == 0
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(50, "first")  # whatever is loaded once
    few = peak(100, "few")
    # Twice, because now and then Python's table of interned strings grows in one of them.
    many = min(peak(800, folder) for folder in ("many", "again"))
    assert many - few < 700 * 64  # less than the pixels of the further images alone


def test_a_process_of_its_own(in_process: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    outcome = in_process("run", str(tiny_bundle), "--steps", "2", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert (tmp_path / json.loads(outcome.out)["file"]).exists()
    outcome = in_process("run", str(tiny_bundle), "--labels", "zebra")
    assert outcome.failed_with("label 'zebra' is unknown", *LABELS)
