"""Sources that are no folder: single-file checkpoints, and repositories of the Hugging Face hub, none of them real."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError
from huggingface_hub.utils._paths import filter_repo_objects
from safetensors.torch import load_file, save_file

import ddim_edge_export.bundle_component
from ddim_edge.errors import ConfigError, ExportError
from ddim_edge_export import Report, export_folder
from ddim_edge_export.networks.network import Network
from ddim_edge_export.output.record import write_json
from ddim_edge_export.sources.diffusers_folder import open_source
from ddim_edge_export.sources.weights import load_network
from ddim_edge_export.verify.against_torch import Case
from tests.export.conftest import SourceOf
from tests.helpers.command_line import Invoke

from .original_names import save_checkpoint

REPOSITORY = "someone/a-model"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The networks that were exported, by name; nothing is traced."""
    names: list[str] = []

    def export_into(folder: Path, load: Callable[[], Network], config: Any, *_: Any) -> Report:
        load()
        names.append(folder.name)
        write_json(folder / "config.json", config)
        (folder / "model.onnx").write_text(folder.name)
        return Report(path=folder, network="", cases=(Case(batch=1, sizes={}, error=0.0),))

    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_into", export_into)
    return names


@pytest.fixture(scope="module")
def checkpoint_of(source_of: SourceOf, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("checkpoints")

    def get(name: str) -> Path:
        path = folder / f"{name}.safetensors"
        if not path.exists():
            save_checkpoint(source_of(name), path, {"modelspec.license": "openrail"})
        return path

    return get


CheckpointOf = Callable[[str], Path]


@pytest.mark.parametrize("name", ["stable-diffusion", "sdxl"])
def test_a_checkpoint_is_the_pipeline_it_was_made_of(
    name: str, source_of: SourceOf, checkpoint_of: CheckpointOf
) -> None:
    folder = open_source(source_of(name))
    file = open_source(source_of(name), checkpoint=checkpoint_of(name))
    assert [component.name for component in file.components] == [component.name for component in folder.components]
    for expected, component in zip(folder.components, file.components, strict=True):
        assert (component.checkpoint is None) == (component.name == "safety_checker")
        (network, extra), (other, _) = load_network(component), load_network(expected)
        assert extra == ()
        weights, others = network.state_dict(), other.state_dict()
        assert weights.keys() == others.keys()
        for key, value in weights.items():
            assert torch.equal(value, others[key]), (component.name, key)


def without_weights(folder: Path, place: Path) -> Path:
    return Path(shutil.copytree(folder, place, ignore=shutil.ignore_patterns("*.safetensors")))


def test_configs_need_no_weights(
    source_of: SourceOf, checkpoint_of: CheckpointOf, exported: list[str], tmp_path: Path
) -> None:
    configs = without_weights(source_of("stable-diffusion"), tmp_path / "configs")
    (configs / "README.md").write_text("---\nlicense: another\n---\n")
    checkpoint, out = checkpoint_of("stable-diffusion"), tmp_path / "out"
    export_folder(checkpoint, out, config=str(configs))
    # A checkpoint has no safety checker.
    assert exported == ["unet", "vae_encoder", "vae_decoder", "text_encoder"]
    assert json.loads((out / "model_index.json").read_text())["safety_checker"] == [None, None]
    record = json.loads((out / "export.json").read_text())
    assert (record["source"], record["licence"]) == (checkpoint.name, "openrail")
    assert checkpoint.name in json.loads((out / "unet" / "export.json").read_text())["made_from"]["files"]


def refused(kind: type[Exception], message: str, source: str | Path, **options: Any) -> None:
    with pytest.raises(kind, match=message) as caught:
        export_folder(source, options.pop("out"), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("exported")
def test_checkpoints_that_do_not_fit(source_of: SourceOf, checkpoint_of: CheckpointOf, tmp_path: Path) -> None:
    configs, out = str(source_of("stable-diffusion")), tmp_path / "out"
    weights = load_file(checkpoint_of("stable-diffusion"))
    file = tmp_path / "model.safetensors"

    save_file({name: value for name, value in weights.items() if "cond_stage" not in name}, file)
    refused(
        ConfigError,
        r"no weights of a text_encoder, and .* has a config of it: .* --components",
        file,
        config=configs,
        out=out,
    )
    save_file({name: value for name, value in weights.items() if not name.endswith("out.2.bias")}, file)
    refused(ExportError, r"lacks 1 of the weights .*, such as conv_out\.bias", file, config=configs, out=out)
    refused(ExportError, "does not match .*unet", file, config=str(source_of("sdxl")), components=["unet"], out=out)
    save_file({"lora_unet_conv_in.lora_up.weight": torch.zeros(2, 2)}, file)
    refused(ConfigError, "is not a checkpoint of a pipeline; give a LoRA with --lora", file, config=configs, out=out)
    file.write_bytes(b"nothing of the kind")
    refused(ConfigError, "cannot read the checkpoint", file, config=configs, out=out)
    pickled = tmp_path / "model.ckpt"
    torch.save(weights, pickled)
    refused(ConfigError, "is not a checkpoint in safetensors; other formats can run code", pickled, out=out)
    assert not out.exists()


class Hub:
    """A hub with one repository, through the cache: what was asked for, and what it hands out."""

    def __init__(self, remote: Path, cache: Path) -> None:
        self.remote, self.cache, self.online = remote, cache, True

    def snapshot_download(self, repository: str, *, allow_patterns: list[str], ignore_patterns: list[str]) -> str:
        wanted = list(
            filter_repo_objects(
                [path.relative_to(self.remote).as_posix() for path in self.remote.rglob("*") if path.is_file()],
                allow_patterns=allow_patterns,
                ignore_patterns=ignore_patterns,
            )
        )
        if repository != REPOSITORY or not (self.online or self.cache.exists()):
            raise LocalEntryNotFoundError("Got: ConnectError\nand more lines")
        if not self.online and any(not (self.cache / name).exists() for name in wanted):
            raise IncompleteSnapshotError("some are missing", snapshot_path=str(self.cache))
        for name in wanted if self.online else ():
            (self.cache / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.remote / name, self.cache / name)
        return str(self.cache)

    def fetched(self) -> set[str]:
        return {path.relative_to(self.cache).as_posix() for path in self.cache.rglob("*") if path.is_file()}


@pytest.fixture
def hub(source_of: SourceOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    remote = Path(shutil.copytree(source_of("stable-diffusion"), tmp_path / "remote"))
    (remote / "README.md").write_text("---\nlicense: mit\n---\n")
    weights = remote / "unet" / "diffusion_pytorch_model.safetensors"
    for name in ("diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.bin"):
        shutil.copy(weights, weights.with_name(name))
    shutil.copy(weights, remote / "everything.safetensors")
    (remote / "code.py").write_text("raise SystemExit")
    hub = Hub(remote, tmp_path / "c0ffee")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    return hub


def test_a_repository_is_fetched_as_far_as_it_is_wanted(hub: Hub, exported: list[str], tmp_path: Path) -> None:
    export_folder(REPOSITORY, tmp_path / "out", components=["unet", "text_encoder"])
    assert exported == ["unet", "text_encoder"]
    fetched = hub.fetched()
    assert {name for name in fetched if not name.endswith((".json", ".txt", ".md"))} == {
        "unet/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
    }
    assert "tokenizer/tokenizer.json" in fetched
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (record["source"], record["licence"], record["revision"]) == (REPOSITORY, "mit", "c0ffee")


def test_variants_and_pickles_only_where_there_is_nothing_else(hub: Hub, exported: list[str], tmp_path: Path) -> None:
    (hub.remote / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    vae = hub.remote / "vae" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(vae), vae.with_suffix(".bin"))
    vae.unlink()
    components = ["unet", "vae_decoder"]
    refused(
        ConfigError, "no weights in safetensors|has no weights", REPOSITORY, components=components, out=tmp_path / "a"
    )
    export_folder(REPOSITORY, tmp_path / "out", components=components, allow_pickle=True)
    weights = {name for name in hub.fetched() if name.endswith((".safetensors", ".bin"))}
    assert weights == {"unet/diffusion_pytorch_model.fp16.safetensors", "vae/diffusion_pytorch_model.bin"}
    assert exported == components


def test_without_the_hub_the_cache_is_enough(hub: Hub, exported: list[str], tmp_path: Path) -> None:
    hub.online = False
    # Another program fetched one network, without the model card.
    shutil.copytree(hub.remote, hub.cache, ignore=shutil.ignore_patterns("vae", "README.md", "*.fp16.*"))
    export_folder(REPOSITORY, tmp_path / "out", components=["unet"])
    assert exported == ["unet"]
    refused(ConfigError, r"cannot read .*vae.*config\.json", REPOSITORY, components=["vae_decoder"], out=tmp_path / "b")


def test_a_checkpoint_takes_the_configs_of_the_hub(
    hub: Hub, checkpoint_of: CheckpointOf, exported: list[str], tmp_path: Path
) -> None:
    export_folder(checkpoint_of("stable-diffusion"), tmp_path / "out", config=REPOSITORY)
    assert exported == ["unet", "vae_encoder", "vae_decoder", "text_encoder"]
    assert not [name for name in hub.fetched() if name.endswith(".safetensors")]


def test_the_command_offline(
    invoke: Invoke, checkpoint_of: CheckpointOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    outcome = invoke("export", REPOSITORY, "out")
    assert outcome.failed_with(f"there is no folder {REPOSITORY}", "cannot be reached, and its cache has nothing of")
    outcome = invoke("export", checkpoint_of("stable-diffusion"), "out")
    assert outcome.failed_with(
        "seems to need those of stable-diffusion-v1-5/stable-diffusion-v1-5", "give --config FOLDER"
    )
    assert not (tmp_path / "out").exists()
