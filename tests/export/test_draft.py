"""What the runtime would refuse is refused before a network is traced, by the runtime's own checks."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.errors import ConfigError
from ddim_edge_export import export_folder
from tests.helpers.tiny_networks import change

from .conftest import MakeUnet, SourceOf

pytestmark = pytest.mark.usefixtures("untraceable")

TOKENIZER = "tokenizer/tokenizer_config.json"
PREPROCESSOR = "feature_extractor/preprocessor_config.json"


def refused(source: Path, message: str, **options: Any) -> None:
    """The export raises one line, and leaves nothing."""
    out = source.parent / "out"
    with pytest.raises(ConfigError, match=message) as caught:
        export_folder(source, out, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert not out.exists()


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("unet/config.json", {"in_channels": 6}, "the unet takes 6 channels, and the autoencoder's latents have 4"),
        ("unet/config.json", {"in_channels": 7}, "the unet takes 7 channels"),
        ("unet/config.json", {"in_channels": 8}, "the unet takes 8 channels"),
        ("unet/config.json", {"out_channels": 12}, "the unet predicts 12 channels for a sample of 4: .* variance"),
        ("unet/config.json", {"cross_attention_dim": 24}, "encoder_hidden_states of width 24, .* give 16"),
        (TOKENIZER, {"model_max_length": 64}, "does not take the 64 tokens of its tokenizer"),
        (TOKENIZER, {"model_max_length": 100}, "max_position_embeddings 77, and the tokenizer needs 100"),
        ("text_encoder/config.json", {"vocab_size": 10}, "vocab_size 10, and the tokenizer needs 55"),
        (PREPROCESSOR, {"image_mean": [1]}, "does not say how to prepare an image"),
    ],
)
def test_pipelines_that_would_not_run(file: str, changes: dict[str, Any], message: str, spoilt: SourceOf) -> None:
    source = spoilt("stable-diffusion")
    change(source / file, **changes)
    refused(source, f"the bundle would not run: .*{message}")


def test_a_missing_tokenizer(spoilt: SourceOf) -> None:
    source = spoilt("stable-diffusion")
    shutil.rmtree(source / "tokenizer")
    refused(source, "the bundle would not run: .*source/tokenizer has no tokenizer")


def test_the_channels_are_checked_where_the_autoencoder_is_left_out(spoilt: SourceOf) -> None:
    source = spoilt("stable-diffusion")
    change(source / "unet/config.json", in_channels=8)
    refused(source, "the unet takes 8 channels, and the autoencoder's latents have 4", components=["unet"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out_channels": 3}, "the unet predicts 3 channels for a sample of 1"),
        ({"class_embed_type": "identity"}, "takes the conditioning class_labels, but .* describe none"),
        ({"sample_size": None}, "must say in_channels and sample_size"),
    ],
)
def test_networks_that_would_not_run(
    changes: dict[str, Any], message: str, make_unet: MakeUnet, tmp_path: Path
) -> None:
    make_unet().save_pretrained(tmp_path / "source")
    change(tmp_path / "source/config.json", **changes)
    refused(tmp_path / "source", f"the bundle would not run: .*{message}", assume_ddim=True)


FAMILIES = ["stable-diffusion-2", "lcm", "sdxl", "sdxl-refiner", "sdxl-controlled", "controlnet", "latent-classes"]


@pytest.mark.parametrize(
    ("family", "options"), [*((family, {}) for family in FAMILIES), ("lcm", {"static": "1x32x32"})]
)
def test_families_that_run_get_as_far_as_tracing(
    family: str, options: dict[str, Any], source_of: SourceOf, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="a network was traced"):
        export_folder(source_of(family), tmp_path / "out", **options)


Spoil = Callable[[Path], object]


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("unet/config.json", {"block_out_channels": 10**9}, "block_out_channels must be a list"),
        ("unet/config.json", {"layers_per_block": 10**9}, "layers_per_block must be from 0 to 256"),
        ("unet/config.json", {"_class_name": [["x"]]}, "_class_name must be a string"),
        ("unet/config.json", {"act_fn": {"a": 1}}, "does not describe a UNet2DConditionModel"),
        ("unet/config.json", {"attention_type": "gated"}, "attention_type 'gated' is not supported"),
        ("text_encoder/config.json", {"architectures": {}, "_class_name": None}, "architectures must be a list"),
        ("text_encoder/config.json", {"num_hidden_layers": 10**12}, "num_hidden_layers must be from 0 to 256"),
        ("safety_checker/config.json", {"vision_config": [1]}, "vision_config must be an object"),
        ("vae/config.json", {"scaling_factor": "x" * 5000}, "scaling_factor must be a finite number"),
        ("scheduler/scheduler_config.json", {"beta_schedule": ["x"] * 5000}, "beta_schedule"),
    ],
)
def test_configs_of_wrong_types_and_sizes(file: str, changes: dict[str, Any], message: str, spoilt: SourceOf) -> None:
    source = spoilt("stable-diffusion")
    change(source / file, **changes)
    with pytest.raises(ConfigError, match=message) as caught:
        export_folder(source, source.parent / "out")
    assert len(str(caught.value).replace(str(source), "")) < 600


@pytest.mark.parametrize("file", ["model_index.json", "unet/config.json", "scheduler/scheduler_config.json", TOKENIZER])
def test_json_that_is_nested_too_deeply(file: str, spoilt: SourceOf) -> None:
    source = spoilt("stable-diffusion")
    (source / file).write_text('{"a":' * 100_000)
    refused(source, "is nested too deeply")


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ({"guidance": 3}, r"default 'guidance' is unknown\. Did you mean 'guidance_scale'"),
        ({"num_steps": 0}, "the model's defaults: num_steps must be"),
        ({"num_steps": 2000}, "the bundle would not run: .*generation_config.json: .* from 1 to 1000"),
        ({"height": 63}, "the bundle would not run: .*generation_config.json: .*multiple"),
    ],
)
def test_defaults_that_the_model_does_not_support(defaults: dict[str, Any], message: str, spoilt: SourceOf) -> None:
    refused(spoilt("stable-diffusion"), message, defaults=defaults)
