"""What to type instead: the answers to command lines that are wrong."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.helpers.command_line import Invoke


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["foo"], "The commands are adopt, bench, build, doctor, encode"),
        (["run", "--cfg", "3"], "it is --guidance-scale here"),
        (["run", "--num-inference-steps", "3"], "it is --num-steps here"),
        (["run", "--device", "cuda"], "it is --provider here"),
        (["interpolate", "--denoising-strength", "1"], "`ddim-edge interpolate --help` lists them"),
        (["run", "--model", "emoji"], "MODEL is an argument, ddim-edge run [OPTIONS] [MODEL]"),
        (
            ["run", "--prompt", "a", "red", "fox"],
            "expected ddim-edge run [OPTIONS] [MODEL]. A text with blanks stands in",
        ),
        (["run", "fashon-mnist"], "Did you mean 'fashion-mnist'?"),
        (["run", "--provider", "gpu"], "name one for your GPU, cuda or tensorrt (NVIDIA)"),
        (["run", "--provider", "CUDAExecutionProvider"], "is called 'cuda' here"),
        (["run", "--sampler", "EulerDiscreteScheduler"], "is called 'euler' here"),
        (["run", "--sampler", "DPM++ 2M"], "sampler 'DPM++ 2M' is unknown. Did you mean 'dpmpp-2m'?"),
        (["run", "--sampler-config", "eta=1"], "eta is an option of ddim, and the sampler is dpmpp-2m"),
        (["run", "--images-per-tar", "5"], "--images-per-tar is for --archive webdataset"),
        (["run", "--vae-tiling"], "leave vae_tiling (--vae-tiling) out"),
        (["run", "--no-safety-checker"], "leave safety_checker (--no-safety-checker) out"),
        (["run", "emoji", "--labels", "cat"], "leave the labels out, and give a prompt"),
        (["bench", "--compile-mode", "none"], "--compile-mode is for --compare diffusers"),
        (["interpolate", "1", "2", "-o", "x.txt"], "must end in .gif, .png"),
        (["serve", "=fashion-mnist"], "names a model without a name: write NAME=FOLDER"),
        (["serve", "--store", "foo"], "--store: 'foo' is no store: expected memory"),
        (["serve", "--port", "x"], "'x' is not a whole number"),
    ],
)
def test_the_answer_says_what_to_type(invoke: Invoke, words: Sequence[str], answer: str) -> None:
    assert invoke(*words).failed_with(answer)


def test_a_file_in_the_place_of_a_model(invoke: Invoke) -> None:
    Path("model.safetensors").touch()
    assert invoke("run", "model.safetensors").failed_with("it is a file", "`ddim-edge export model.safetensors OUT`")


def test_a_file_in_the_place_of_a_folder(invoke: Invoke) -> None:
    Path("file").touch()
    assert invoke("run", "-n", "1", "-o", "file/a.png").failed_with("file is a file, not a folder")


def test_a_wrong_value_says_where_it_is_set(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDIM_EDGE_RUN_NUM_STEPS", "x")
    assert invoke("run").failed_with("It is the environment variable DDIM_EDGE_RUN_NUM_STEPS")


def test_interpolate_takes_the_name_that_run_has_for_its_number_of_images(invoke: Invoke) -> None:
    assert invoke("interpolate", "1", "2", "--num-images", "1").failed_with("at least 2 frames, not 1")
