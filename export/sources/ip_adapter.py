"""IP-Adapters: reads the file with an adapter's weights, and checks that it fits the UNet and the image encoder.

Ye et al. 2023 (https://arxiv.org/abs/2308.06721). A file has the layers ``image_proj``, which turn the image encoder's
output into tokens, and ``ip_adapter``: two projections for each cross-attention of the UNet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ddim_edge.errors import ConfigError, shown
from ddim_edge.files import open_regular

from ..config_keys import Config
from ..output.record import file_entry

_BASIC_TOKENS = 4
_SAFE = ".safetensors"
_LATENTS = "image_proj.latents"
_LAYERS = {
    "basic": {"image_proj.proj.weight": 2},
    "plus": {"image_proj.proj_in.weight": 2, _LATENTS: 3, "image_proj.proj_out.weight": 2},
    "full": {"image_proj.proj.0.weight": 2, "image_proj.proj.3.weight": 1},
}
"""What each kind of adapter has, with the number of axes; from the layer that its input goes into to its last."""


@dataclass(frozen=True, kw_only=True)
class IpAdapter:
    """An adapter: its file, and what the shapes of its weights say of it. The weights are not kept.

    Attributes:
        kind: basic, plus (a resampler of hidden states) or full (of all hidden states).
        shapes: those of its weights, by ``image_proj.NAME`` and ``ip_adapter.NAME``.
    """

    path: Path
    kind: str
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def pooled(self) -> bool:
        """Whether it projects the encoder's image embedding, and not its last but one hidden states."""
        return self.kind == "basic"

    @property
    def width(self) -> int:
        """That of its tokens, and of the UNet's cross-attention."""
        rows = self.shapes[list(_LAYERS[self.kind])[-1]][0]
        return rows // _BASIC_TOKENS if self.pooled else rows

    @property
    def input_width(self) -> int:
        """That of what it projects."""
        return self.shapes[next(iter(_LAYERS[self.kind]))][1]

    def num_tokens(self, encoder: Config) -> int:
        """The number of tokens that it makes of an image; a full one makes as many as the encoder has positions."""
        if self.kind == "plus":
            return self.shapes[_LATENTS][1]
        side = int(encoder.get("image_size") or 224) // int(encoder.get("patch_size") or 32)
        return _BASIC_TOKENS if self.pooled else side**2 + 1

    def weights(self, part: str) -> dict[str, torch.Tensor]:
        """Those of ``image_proj`` or ``ip_adapter``, float32, by their names in it."""
        read = _read_safe if self.path.suffix == _SAFE else _read_pickle
        named = read(self.path).items()
        return {name.removeprefix(f"{part}."): value.float() for name, value in named if name.startswith(f"{part}.")}

    def to_json(self) -> dict[str, Any]:
        """The entry in export.json."""
        return {"file": self.path.name, **file_entry(self.path)}


def read_ip_adapter(path: Path, *, allow_pickle: bool = False) -> IpAdapter:
    """Read the names and shapes in an adapter's file. ConfigError for another file, or one that is not safe to read."""
    shapes = _shapes(path, allow_pickle=allow_pickle)
    if not all(any(name.startswith(f"{part}.") for name in shapes) for part in ("image_proj", "ip_adapter")):
        raise ConfigError(f"{path} is no IP-Adapter: it needs weights named image_proj and ip_adapter")
    for kind, layers in _LAYERS.items():
        if all(len(shapes.get(name, ())) == rank for name, rank in layers.items()):
            return IpAdapter(path=path, kind=kind, shapes=shapes)
    raise ConfigError(
        f"{path} is an IP-Adapter of another kind, such as FaceID, which needs the embeddings of a face recogniser: "
        "take one for CLIP's image encoder, such as ip-adapter-plus-face"
    )


def check_fits(adapter: IpAdapter, unet: Config, encoder: Config) -> None:
    """ConfigError for an adapter of another base model, or for another image encoder."""
    width = unet.get("cross_attention_dim")
    if width != adapter.width:
        raise ConfigError(
            f"{adapter.path} is for cross-attention of width {adapter.width}, and the unet's is {shown(width)}: it is "
            "an adapter for another base model"
        )
    key = "projection_dim" if adapter.pooled else "hidden_size"
    if encoder.get(key) != adapter.input_width:
        raise ConfigError(
            f"{adapter.path} is for an image encoder of {key} {adapter.input_width}, and this one's is "
            f"{shown(encoder.get(key))}: give the adapter's own by --ip-adapter-image-encoder"
        )


def _shapes(path: Path, *, allow_pickle: bool) -> dict[str, tuple[int, ...]]:
    try:
        open_regular(path).close()
        if path.suffix == _SAFE:
            with safe_open(path, "pt") as file:
                return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError) as error:
        raise ConfigError(f"cannot read the IP-Adapter {path}: {shown(str(error))}") from None
    if not allow_pickle:
        raise ConfigError(f"{path} does not end in {_SAFE}: take the adapter in that format, or add --allow-pickle")
    return {name: tuple(value.shape) for name, value in _read_pickle(path, "meta").items()}


def _read_safe(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping


def _read_pickle(path: Path, device: str = "cpu") -> dict[str, torch.Tensor]:
    """The weights, flat: such a file has a dictionary for each part."""
    try:
        stored = torch.load(path, map_location=device, weights_only=True)
        pairs = ((part, stored.get(part, {})) for part in ("image_proj", "ip_adapter"))
        return {f"{part}.{name}": tensor for part, tensors in pairs for name, tensor in tensors.items()}
    except Exception:  # whatever the bytes of a stranger lead to
        raise ConfigError(
            f"{path} is damaged, or has more than weights and could run code: get the adapter in safetensors"
        ) from None
