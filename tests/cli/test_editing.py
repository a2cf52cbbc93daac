"""``encode``, ``interpolate``, and ``run`` with pictures to start from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddim_edge.images.encode import read_recipe, to_pixels
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import tiny_model, write_bundle

EMOJI = Path(__file__).parents[2] / "models" / "emoji"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A picture, another, a mask of its right half, and one of another size."""
    ramp = np.tile(np.arange(0, 256, 32), (8, 1)).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    Image.fromarray(ramp.T.copy()).save(tmp_path / "turned.png")
    Image.fromarray(np.where(np.arange(8) < 4, 0, 255).astype(np.uint8)[None].repeat(8, 0)).save(tmp_path / "mask.png")
    Image.new("L", (9, 8)).save(tmp_path / "small.png")
    return tmp_path


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def test_what_is_encoded_comes_back(invoke: Invoke, files: Path) -> None:
    assert invoke("run", "-n", 2, "-s", 8, "-o", "clothes/").code == 0
    names = [f"clothes/{index:06d}.png" for index in range(2)]
    outcome = invoke("encode", *names, "-s", 60, "-o", "clothes.npz")
    assert (outcome.code, outcome.err) == (0, "")
    assert "2 pictures, 60 steps" in outcome.out
    assert invoke("run", "--latents", "clothes.npz", "-o", "back/").code == 0
    for index, name in enumerate(names):
        assert np.abs(pixels(files / f"back/{index:06d}.png") - pixels(files / name)).mean() < 12
    assert invoke("run", "--latents", "clothes.npz", "-l", "bag", "-g", 2, "-o", "bags.png").code == 0
    assert read_recipe(files / "bags.png")["label_names"] == ["bag"]


def test_latents_belong_to_their_steps_and_model(invoke: Invoke, files: Path, tiny_bundle: Path) -> None:
    assert invoke("encode", "ramp.png", "-m", tiny_bundle, "-s", 5, "-o", "l.npz", "--json").code == 0
    run: list[Any] = ["run", tiny_bundle, "--latents"]
    assert invoke(*run, "l.npz", "-s", 9).failed_with("the latents have the noise level", "9 steps of ddim")
    assert invoke("run", "--latents", "l.npz").failed_with("l.npz: latents has the shape (1, 1, 8, 8)", "(1, 28, 28)")
    write_bundle(files / "other", tiny_model(nan_at=(1, 1)))
    assert invoke("run", "other", "--latents", "l.npz").failed_with("made with another model")
    assert invoke(*run, "ramp.png").failed_with("ramp.png is not a latents file: make one with `ddim-edge encode`")
    assert invoke(*run, "none.npz").failed_with("none.npz is not there")
    assert invoke(*run, "l.npz", "--init-image", "ramp.png").failed_with("cannot be combined")
    assert invoke(*run, "l.npz", "-o", "out.png").code == 0
    again: list[Any] = ["run", "--from-image", "out.png", "-o", "again.png"]
    assert invoke(*again).failed_with("made from latents, of which a recipe holds only the hash")
    assert invoke(*again, "--latents", "l.npz").code == 0
    assert (files / "again.png").read_bytes() == (files / "out.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["ramp.png", "-o", "out.png"], ["must end in .npz"]),
        (["nothing.png", "-o", "out.npz"], ["nothing.png is not there"]),
        (["-o", "out.npz"], ["Missing argument"]),
        (["ramp.png", "-o", "out.npz", "-l", "hat"], ["label 'hat' is unknown"]),
        (["ramp.png", "-o", "out.npz", "-s", 0], ["num_steps must be from 1 to 1000, not 0"]),
    ],
)
def test_bad_input_of_encode(invoke: Invoke, files: Path, arguments: list[Any], parts: list[str]) -> None:
    assert invoke("encode", *arguments).failed_with(*parts)
    assert not list(files.glob("*.npz"))


def test_a_text_model_is_the_first_argument(invoke: Invoke, files: Path) -> None:
    command: list[Any] = ["encode", EMOJI, "ramp.png", "--prompt", "a ramp", "-s", 3, "--height", 40, "-o", "l.npz"]
    assert invoke(*command).out == "l.npz  (1 picture, 3 steps on cpu)\n"
    assert invoke("run", EMOJI, "--latents", "l.npz", "-o", "out.png").code == 0
    assert pixels(files / "out.png").shape == (40, 32, 3)
    recipe = read_recipe(files / "out.png")
    assert (recipe["prompts"], recipe["guidance_scale"], recipe["height"]) == (["a ramp"], 1.0, 40)


def test_a_way_between_prompts(invoke: Invoke, files: Path) -> None:
    prompts: list[Any] = ["--prompt", "sun", "--prompt", "new moon"]
    assert invoke("interpolate", EMOJI, 4, 4, *prompts, "-n", 3, "-s", 3, "-o", "way.npy").code == 0
    frames = np.load(files / "way.npy")
    assert frames.shape == (3, 3, 32, 32)
    assert len(np.unique(frames.reshape(3, -1), axis=0)) == 3
    assert invoke("interpolate", EMOJI, 4, 4, *prompts, "-n", 3, "-s", 3, "-o", "way.png").code == 0
    again = invoke("run", EMOJI, "--from-image", "way.png")
    assert again.failed_with("interpolate 4 4 --frames 3 --prompt sun --prompt 'new moon'`")


def test_the_model_is_the_first_argument_or_an_option(invoke: Invoke, files: Path, tiny_bundle: Path) -> None:
    for number, model in enumerate((["-m", tiny_bundle, "ramp.png"], [tiny_bundle, "ramp.png"])):
        assert invoke("encode", *model, "-s", 3, "-o", f"{number}.npz").code == 0
    assert (files / "0.npz").read_bytes() == (files / "1.npz").read_bytes()
    for number, model in enumerate(([3, 4, "-m", tiny_bundle], [tiny_bundle, 3, 4])):
        assert invoke("interpolate", *model, "-s", 3, "-o", f"{number}.png").code == 0
    assert (files / "0.png").read_bytes() == (files / "1.png").read_bytes()
    assert invoke("interpolate", tiny_bundle, 3, 4, "-m", tiny_bundle).failed_with("leave --model out")
    assert invoke("interpolate", 3).failed_with("[MODEL] FIRST LAST are two or three arguments, not 1")
    assert invoke("encode", "fashion-mnist", "-o", "l.npz").failed_with("give at least one PICTURE")
    (files / "ramp.png").rename(files / "fashion-mnist")  # a file of that name is a picture
    assert invoke("encode", "fashion-mnist", "-s", 3, "-o", "l.npz").code == 0


@pytest.mark.parametrize("ends", [("3", "11"), ("ramp.png", "turned.png"), ("ramp.png", "7")])
def test_interpolation_to_every_kind_of_output(
    invoke: Invoke, files: Path, tiny_bundle: Path, ends: tuple[str, str]
) -> None:
    command: list[Any] = ["interpolate", *ends, "-m", tiny_bundle, "-n", 5, "-s", 4, "-l", "dog"]
    for target in ("way.png", "way.gif", "way.npy", "way.npz", "way/"):
        assert invoke(*command, "-o", target).code == 0
    frames = to_pixels(np.load(files / "way.npy"))
    assert frames.shape == (5, 8, 8, 1)
    assert pixels(files / "way.png").shape == (256, 384)  # enlarged by 16
    assert len(list((files / "way").glob("0*.png"))) == 5
    np.testing.assert_array_equal(pixels(files / "way/000004.png"), frames[4, :, :, 0])
    with Image.open(files / "way.gif") as animation:
        assert 1 < getattr(animation, "n_frames", 1) <= 5
    again = invoke("run", "--from-image", "way.png")
    assert again.failed_with(f"was made by `ddim-edge interpolate {' '.join(ends)} --frames 5`")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["3", "x"], ["'x' is neither a seed (a whole number) nor a file"]),
        (["-3", "4"], ["No such option"]),
        (["3", "4", "-n", 1], ["at least 2 frames, not 1"]),
        (["3", "4", "-o", "out.bmp"], ["the file must end in .gif, .png, .npy, .npz, .jpg"]),
        (["3", "4", "-o", "-"], ["--output - is for `ddim-edge run`"]),
        (["3", "mask.npz"], ["'mask.npz' is neither a seed"]),
    ],
)
def test_bad_input_of_interpolate(invoke: Invoke, files: Path, arguments: list[Any], parts: list[str]) -> None:
    assert files.exists()
    assert invoke("interpolate", *arguments).failed_with(*parts)


def test_a_part_is_repaired_and_can_be_made_again(invoke: Invoke, files: Path, tiny_bundle: Path) -> None:
    given: list[Any] = ["--init-image", "ramp.png", "--mask", "mask.png"]
    assert invoke("run", tiny_bundle, *given, "-n", 2, "-s", 5, "-l", "dog", "-o", "images/").code == 0
    for index in range(2):
        made = pixels(files / f"images/{index:06d}.png")
        np.testing.assert_array_equal(made[:, :4], pixels(files / "ramp.png")[:, :4])
    one: list[Any] = ["run", "--from-image", "images/000001.png", "-o", "one.png"]
    assert invoke(*one).failed_with("made from image, of which a recipe holds only the hash")
    assert invoke(*one, "--init-image", "turned.png", "--mask", "mask.png").failed_with("made from another image")
    assert invoke(*one, *given).code == 0
    np.testing.assert_array_equal(pixels(files / "one.png"), pixels(files / "images/000001.png"))


def test_strength_says_how_much_is_changed(invoke: Invoke, files: Path, tiny_bundle: Path) -> None:
    before = pixels(files / "ramp.png")
    changes = []
    for strength in (0.1, 0.5, 1.0):
        arguments = ["--init-image", "ramp.png", "--strength", strength, "-n", 1, "-s", 20, "-o", f"{strength}.png"]
        assert invoke("run", tiny_bundle, *arguments).code == 0
        changes.append(np.abs(pixels(files / f"{strength}.png") - before).mean())
        assert read_recipe(files / f"{strength}.png").get("strength", 1.0) == strength
    assert changes[0] < changes[1] < changes[2]


def test_no_class_at_all(invoke: Invoke, files: Path) -> None:
    assert invoke("run", "-l", "none,bag", "-s", 2, "-o", "out.png").code == 0
    assert read_recipe(files / "out.png")["label_names"] == ["none", "bag"]
    assert invoke("run", "--from-image", "out.png", "-o", "again.png").code == 0


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--strength", 0.5], ["strength 0.5 needs an initial image to change"]),
        (["--mask", "mask.png"], ["a mask needs an initial image to change"]),
        (["--init-image", "ramp.png", "--mask", "small.png"], ["9x8 pixels, and the model's images have 8x8"]),
        (["--init-image", "none.png"], ["none.png is not there"]),
        (["--init-image", "ramp.png", "--strength", 0], ["leaves no step: take"]),
        (["--init-image", "ramp.png", "--strength", 1.5], ["strength must be a number from 0 to 1"]),
        (["--init-image", "ramp.png", "--sampler", "lcm", "-s", 30, "--strength", 0.5], ["its 30 steps from the 25"]),
        (["--from-image", "ramp.png"], ["has no recipe"]),
    ],
)
def test_bad_input_of_run(invoke: Invoke, files: Path, tiny_bundle: Path, options: list[Any], parts: list[str]) -> None:
    assert files.exists()
    assert invoke("run", tiny_bundle, *options).failed_with(*parts)


def test_a_model_without_a_null_class_knows_no_none(invoke: Invoke, new_bundle: Any, files: Path) -> None:
    new_bundle(null_class=None)
    assert files.exists()
    assert invoke("run", "bundle", "-l", "none").failed_with("label 'none' is unknown")
    assert invoke("encode", "ramp.png", "-m", "bundle", "-o", "l.npz").failed_with("give the class with labels")


def test_one_picture_makes_one_image_and_a_sheet_is_refused(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, "-s", 1, "-o", "sheet.png").code == 0
    words = (
        "sheet.png: it is a sheet of 16 images, not one: make it with --num-images 1, or write its images to a folder"
    )
    assert invoke("run", tiny_bundle, "--init-image", "sheet.png").failed_with(words)
    assert invoke("encode", "sheet.png", "-m", tiny_bundle, "-o", "sheet.npz").failed_with("it is a sheet of 16 images")
    assert invoke("run", tiny_bundle, "-s", 1, "-n", 1, "-o", "one.png").code == 0
    assert invoke("run", tiny_bundle, "-s", 4, "--init-image", "one.png", "-o", "changed.png").code == 0
    assert read_recipe(tmp_path / "changed.png")["num_images"] == 1
    two = ("--init-image", "one.png", "--labels", "dog,cat")
    assert invoke("run", tiny_bundle, "-s", 4, *two, "-o", "two.png").code == 0
    assert read_recipe(tmp_path / "two.png")["num_images"] == 2
