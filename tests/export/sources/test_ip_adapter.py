"""IP-Adapter files: what each kind is, and what is refused before a network is loaded."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ddim_edge.errors import ConfigError
from ddim_edge_export.networks.image_prompt import add_ip_adapters
from ddim_edge_export.sources.diffusers_folder import Component, Source
from ddim_edge_export.sources.image_encoder import image_prompt_config, with_ip_adapters
from ddim_edge_export.sources.ip_adapter import read_ip_adapter
from tests.helpers.ip_adapters import image_encoder, write_adapter
from tests.helpers.tiny_networks import unet


@pytest.fixture(scope="module")
def network() -> Any:
    return unet()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, network: Any) -> Path:
    """An adapter of each kind, and the encoder beside them."""
    folder = tmp_path_factory.mktemp("adapters")
    image_encoder(folder / "image_encoder")
    for kind in ("basic", "plus", "full"):
        write_adapter(folder / f"{kind}.safetensors", network, kind, seed=0)
    return folder


def source(folder: Path, network: Any) -> Source:
    part = Component(name="unet", folder=folder, config=dict(network.config), kind="UNet2DConditionModel")
    return Source(folder=folder / "pipeline", index={}, components=(part,), graphs=("unet",))


def changed(folder: Path, out: Path, **weights: torch.Tensor) -> Path:
    """The basic adapter with other weights."""
    save_file(load_file(folder / "basic.safetensors") | weights, out / "changed.safetensors")
    return out / "changed.safetensors"


@pytest.mark.parametrize(("kind", "tokens"), [("basic", 4), ("plus", 3), ("full", 5)])
def test_kinds(kind: str, tokens: int, folder: Path, network: Any) -> None:
    file = folder / f"{kind}.safetensors"
    found = with_ip_adapters(source(folder, network), [file])
    assert [part.name for part in found.components] == ["unet", "image_encoder"]
    config = image_prompt_config(found)
    assert config == {
        "ip_adapters": [{"name": kind, "tokens": tokens, "width": 16}],
        "preprocessor": {"size": 8, "crop_size": 8},
    }


def test_pickles_are_read_where_they_are_allowed(folder: Path, tmp_path: Path) -> None:
    parts: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for name, value in load_file(folder / "basic.safetensors").items():
        part, _, rest = name.partition(".")
        parts[part][rest] = value
    torch.save(parts, tmp_path / "basic.bin")
    with pytest.raises(ConfigError, match="add --allow-pickle"):
        read_ip_adapter(tmp_path / "basic.bin")
    found = read_ip_adapter(tmp_path / "basic.bin", allow_pickle=True)
    safe = read_ip_adapter(folder / "basic.safetensors")
    assert found.shapes == safe.shapes
    assert torch.equal(found.weights("image_proj")["proj.bias"], safe.weights("image_proj")["proj.bias"])


def test_what_is_no_adapter(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("no weights")
    (tmp_path / "bad.bin").write_text("no weights")
    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    face = {"image_proj.proj.0.weight": torch.ones(8, 4), "image_proj.norm.weight": torch.ones(4)}
    save_file(face | {"ip_adapter.1.to_k_ip.weight": torch.ones(4, 4)}, tmp_path / "face.safetensors")
    refused = {
        "text.safetensors": "cannot read the IP-Adapter",
        "gone.safetensors": "cannot read the IP-Adapter",
        "other.safetensors": "is no IP-Adapter",
        "face.safetensors": "FaceID.* ip-adapter-plus-face",
        "bad.bin": "is damaged",
    }
    for name, words in refused.items():
        with pytest.raises(ConfigError, match=words):
            read_ip_adapter(tmp_path / name, allow_pickle=True)


def test_what_does_not_fit(folder: Path, network: Any, tmp_path: Path) -> None:
    model, basic = source(folder, network), folder / "basic.safetensors"
    wide = write_adapter(tmp_path / "wide.safetensors", unet(cross_attention_dim=32), "basic", 0)
    with pytest.raises(ConfigError, match=r"cross-attention of width 32, and the unet's is 16: .* another base model"):
        with_ip_adapters(model, [wide], folder / "image_encoder")
    other = changed(folder, tmp_path, **{"image_proj.proj.weight": torch.ones(64, 99)})
    with pytest.raises(ConfigError, match=r"projection_dim 99, and this one's is 12: .* --ip-adapter-image-encoder"):
        with_ip_adapters(model, [other], folder / "image_encoder")
    with pytest.raises(ConfigError, match=r"there is neither .*image_encoder nor .*give the folder"):
        with_ip_adapters(model, [other])
    with pytest.raises(ConfigError, match="needs an adapter: give its file by --ip-adapter"):
        with_ip_adapters(model, [], folder / "image_encoder")
    with pytest.raises(ConfigError, match="no UNet with cross-attention is among the components"):
        with_ip_adapters(Source(folder=folder, index={}, components=(), graphs=()), [basic])


def test_weights_of_another_unet(folder: Path, tmp_path: Path) -> None:
    small = changed(folder, tmp_path, **{"ip_adapter.1.to_k_ip.weight": torch.ones(4, 16)})
    with pytest.raises(ConfigError, match=r"has \(4, 16\) for ip_adapter.1.to_k_ip.weight, and the unet needs"):
        add_ip_adapters(unet(), [read_ip_adapter(small)])
    deeper = unet(transformer_layers_per_block=2)
    with pytest.raises(ConfigError, match=r"has nothing for ip_adapter\..* another base model"):
        add_ip_adapters(deeper, [read_ip_adapter(folder / "basic.safetensors")])
