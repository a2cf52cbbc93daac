"""Transformers at export: what is refused before a network is traced, and what the bundle is told."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.errors import ConfigError
from ddim_edge_export import export_folder
from ddim_edge_export.component_signature import config_of, signature_of
from ddim_edge_export.options import Options, Static
from ddim_edge_export.sources.diffusers_folder import Source, open_source
from tests.helpers.exported import Exports
from tests.helpers.tiny_networks import change


def denoiser_at(source: Source, height: int, width: int) -> tuple[dict[str, Any], Any]:
    """The shapes of a denoiser's inputs for an image of a fixed size, and its config.json."""
    (component,) = (part for part in source.components if part.name == "transformer")
    options = dataclasses.replace(Options(), static=Static(batch=2, height=height, width=width))
    _, signature = signature_of(component, source, options)
    return {entry.name: entry.axes for entry in signature.inputs}, config_of(component, source, options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_cache": 0}, "--step-cache is for a unet, and this model has a transformer: leave --step-cache out"),
        ({"fuse_step": True}, "--fuse-step is for a unet, and this model has a transformer: leave --fuse-step out"),
        ({"static": "1x32x32"}, "static 1x32x32: the network takes images of 16x16 alone: give that size"),
        ({"static": "1x18x18"}, "height and width must be multiples of 4"),
        ({"components": ["unet"]}, "component 'unet' is unknown"),
    ],
)
def test_refusals(options: dict[str, Any], message: str, exports: Exports, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        export_folder(exports.source("dit"), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_denoiser(exports: Exports, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "model_index.json").write_text((exports.source("dit") / "model_index.json").read_text())
    change(source / "model_index.json", transformer=[None, None], vae=[None, None])
    with pytest.raises(ConfigError, match="has no unet and no transformer"):
        open_source(source)


def test_classes_and_the_one_that_is_none(exports: Exports) -> None:
    source = open_source(exports.source("dit"))
    axes, config = denoiser_at(source, 16, 16)
    assert axes == {"sample": (2, 4, 8, 8), "timestep": (2,), "class_labels": (2,)}
    assert (source.index["null_class"], config["num_class_embeds"]) == (1000, 1001)


def test_fixed_sizes_of_joint_text(exports: Exports) -> None:
    axes, config = denoiser_at(open_source(exports.source("sd3")), 16, 24)
    assert axes["sample"] == (2, 16, 16, 24)
    assert axes["encoder_hidden_states"] == (2, 77 + 256, 40)
    assert config["sample_size"] == [16, 24]


def test_t5_may_be_left_out(exports: Exports) -> None:
    parts = ("transformer", "text_encoder", "text_encoder_2", "vae_decoder")
    source = open_source(exports.source("sd3"), parts)
    assert source.index["text_encoder_3"] == [None, None]
    assert {part.name for part in source.components} == set(parts)
