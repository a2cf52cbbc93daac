"""Weights that a network does not have, pickles, and files that are no weights."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import ddim_edge_export.bundle_component
from ddim_edge.errors import ConfigError
from ddim_edge_export import export_folder
from tests.export.conftest import SourceOf
from tests.export.output.killed_exports import without_tracing
from tests.helpers.command_line import Invoke

from .original_names import save_checkpoint

SAFETENSORS, BIN = "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin"
EXTRA = {f"mid_block.attentions.0.processor.to_{kind}_ip.{index}.weight" for kind in "kv" for index in range(6)}

untraceable = pytest.mark.usefixtures("untraceable")


@pytest.fixture
def source(spoilt: SourceOf) -> Path:
    return spoilt("stable-diffusion")


def refused(source: Path, message: str, **options: Any) -> None:
    """The export raises one line, and leaves nothing."""
    out = source.parent / "out"
    with pytest.raises(ConfigError, match=message) as caught:
        export_folder(source, out, components=["vae_encoder", "unet"], **options)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def add_weights(source: Path) -> None:
    """What an IP-Adapter adds to a UNet: the images of a prompt alone stay the same without it."""
    weights = load_file(source / SAFETENSORS)
    save_file(weights | {name: torch.zeros(2) for name in EXTRA}, source / SAFETENSORS, {"format": "pt"})


@untraceable
def test_weights_that_the_network_does_not_have_are_refused(source: Path, invoke: Invoke) -> None:
    add_weights(source)
    refused(source, r"unet has 12 weights that a UNet2DConditionModel does not have: .*_ip\.0\.weight.* among them")
    outcome = invoke("export", source, source.parent / "out")
    assert outcome.failed_with("12 weights", "--ignore-extra-weights")


def test_weights_that_are_ignored_are_recorded(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_into", without_tracing)
    add_weights(source)
    report = export_folder(source, tmp_path / "out", components=["unet"], ignore_extra_weights=True)
    assert set(report.components["unet"].ignored_weights) == EXTRA
    assert set(json.loads((tmp_path / "out/unet/export.json").read_text())["ignored_weights"]) == EXTRA


@untraceable
@pytest.mark.parametrize("kind", ["gligen", "ip-adapter"])
def test_weights_of_a_checkpoint_that_the_unet_does_not_have(kind: str, source_of: SourceOf, tmp_path: Path) -> None:
    """They are left out without a word where diffusers renames the others."""
    configs, checkpoint = source_of("stable-diffusion"), tmp_path / "model.safetensors"
    save_checkpoint(configs, checkpoint)
    name = {"gligen": "position_net.linears.0.weight", "ip-adapter": "middle_block.1.to_k_ip.weight"}[kind]
    last = name.rpartition(".1.")[2]  # diffusers gives the others' names to what is inside a known layer
    extra = {f"model.diffusion_model.{name}": torch.ones(2)}
    save_file(load_file(checkpoint) | extra, checkpoint)
    with pytest.raises(ConfigError, match=f"has 1 weights that a UNet2DConditionModel does not have: .*{last}"):
        export_folder(checkpoint, tmp_path / "out", config=str(configs), components=["unet"])


class Code:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


@untraceable
@pytest.mark.parametrize("layout", ["zip", "plain"])
def test_a_pickle_with_code_is_refused_and_not_run(layout: str, source: Path, tmp_path: Path) -> None:
    code = Code(f"touch {tmp_path / 'ran'}")
    (source / SAFETENSORS).unlink()
    if layout == "zip":
        torch.save({"conv_in.weight": code}, source / BIN)
    else:
        (source / BIN).write_bytes(pickle.dumps(code))
    refused(source, r"unet has no weights in safetensors, only pickled ones: .* --allow-pickle")
    refused(
        source, r"diffusion_pytorch_model\.bin is damaged, or has more than weights and could run", allow_pickle=True
    )
    assert not (tmp_path / "ran").exists()


@untraceable
@pytest.mark.parametrize("name", [SAFETENSORS, "unet/other.index.json", "tokenizer/more.json"])
def test_a_named_pipe_is_not_waited_for(name: str, source: Path) -> None:
    (source / name).unlink(missing_ok=True)
    os.mkfifo(source / name)
    refused(source, "cannot read .*: it is not a regular file")


@untraceable
def test_a_link_out_of_the_source_is_not_followed_into_the_bundle(source: Path, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("secret")
    (source / "tokenizer" / "notes.txt").symlink_to(tmp_path / "private")
    refused(source, r"notes\.txt is a link out of .*source: replace it by the file")
