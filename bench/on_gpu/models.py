"""The networks with random weights, built on the machine: each as a diffusers folder and as a bundle."""

import importlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..results import ROOT

_CLASSES: dict[str, Any] = json.loads((ROOT / "models" / "fashion-mnist" / "unet" / "config.json").read_text())
_PLAIN = {"in_channels": 3, "out_channels": 3, "layers_per_block": 2}
_LATENT = {"in_channels": 4, "out_channels": 4, "layers_per_block": 2}
_TOKENS = 77
SCHEDULER = {"_class_name": "DDIMScheduler"}
"""Its defaults: linear betas, x_0 clipped, which keeps a network of random weights within bounds."""


def _downs(levels: int, attends: tuple[int, ...], kind: str) -> dict[str, Any]:
    down = [f"{kind}DownBlock2D" if level in attends else "DownBlock2D" for level in range(levels)]
    return {"down_block_types": down, "up_block_types": [name.replace("Down", "Up") for name in reversed(down)]}


@dataclass(frozen=True, kw_only=True)
class Model:
    """One network and its settings.

    Attributes:
        steps: per image; fewer for a large network, since every step takes the same time.
        guidance_scale: None for no guidance.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    steps: int
    guidance_scale: float | None = None

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        side = int(self.config["sample_size"])
        return int(self.config["in_channels"]), side, side

    def conditioning(self) -> dict[str, tuple[int, ...]]:
        """The shapes of one row's conditioning, without the batch axis; () for whole numbers."""
        found: dict[str, tuple[int, ...]] = {}
        if self.config.get("num_class_embeds"):
            found["class_labels"] = ()
        if self.config.get("cross_attention_dim"):
            found["encoder_hidden_states"] = (_TOKENS, int(self.config["cross_attention_dim"]))
        if self.config.get("addition_embed_type") == "text_time":
            width = int(self.config["projection_class_embeddings_input_dim"])
            found["text_embeds"] = (width - 6 * int(self.config["addition_time_embed_dim"]),)
            found["time_ids"] = (6,)
        return found

    @property
    def rows(self) -> int:
        """Rows of a network call per image."""
        return 1 if self.guidance_scale is None else 2


def _text(name: str, steps: int, **config: Any) -> Model:
    return Model(name=name, kind="UNet2DConditionModel", steps=steps, guidance_scale=7.5, config=_LATENT | config)


MODELS = (
    Model(name="bundled", kind="UNet2DModel", steps=50, config=_CLASSES),
    Model(
        name="unet-64",
        kind="UNet2DModel",
        steps=50,
        config={**_PLAIN, "sample_size": 64, "block_out_channels": (128, 128, 256, 512), **_downs(4, (2,), "Attn")},
    ),
    # The architecture of google/ddpm-celebahq-256.
    Model(
        name="unet-256",
        kind="UNet2DModel",
        steps=20,
        config={
            **_PLAIN,
            "sample_size": 256,
            "block_out_channels": (128, 128, 256, 256, 512, 512),
            **_downs(6, (4,), "Attn"),
        },
    ),
    # The architecture of Stable Diffusion 1.5, at 512x512 pixels.
    _text(
        "sd15",
        10,
        sample_size=64,
        block_out_channels=(320, 640, 1280, 1280),
        cross_attention_dim=768,
        attention_head_dim=8,
        **_downs(4, (0, 1, 2), "CrossAttn"),
    ),
    # The architecture of SDXL, at 1024x1024 pixels.
    _text(
        "sdxl",
        5,
        sample_size=128,
        block_out_channels=(320, 640, 1280),
        cross_attention_dim=2048,
        attention_head_dim=(5, 10, 20),
        transformer_layers_per_block=(1, 2, 10),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
        **_downs(3, (1, 2), "CrossAttn"),
    ),
)

_TINY = {"block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4, "sample_size": 8}
REHEARSAL = (
    Model(
        name="tiny",
        kind="UNet2DModel",
        steps=3,
        config={**_PLAIN, **_TINY, "attention_head_dim": 4, **_downs(2, (), "Attn")},
    ),
    _text(
        "tiny-text",
        3,
        **_TINY | {"block_out_channels": (8,)},
        cross_attention_dim=16,
        attention_head_dim=4,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=64,
        **_downs(1, (0,), "CrossAttn"),
    ),
)
"""Tiny networks of the same kinds, for a rehearsal on the CPU."""


def build(model: Model, dtype: str, folder: Path, *, opset: int) -> tuple[Path, Path]:
    """Make a network's diffusers folder and its bundle, unless they exist; returns both paths.

    Unlike an export it is not compared with PyTorch here: the bench does that on the device.
    """
    source, bundle = folder / "source", folder / "bundle"
    if not (bundle / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        module = _module(model, dtype)
        module.save_pretrained(source / "unet")
        _write_json(source / "scheduler" / "scheduler_config.json", SCHEDULER)
        _export(model, module, dtype, bundle, opset)
        (bundle / "complete").touch()
    return source, bundle


def _module(model: Model, dtype: str) -> Any:
    torch: Any = importlib.import_module("torch")
    torch.manual_seed(0)
    kind = getattr(importlib.import_module("diffusers"), model.kind)
    keys = {key: value for key, value in model.config.items() if not key.startswith("_")}
    return kind(**keys).eval().to(torch.float16 if dtype == "fp16" else torch.float32)


def _export(model: Model, module: Any, dtype: str, bundle: Path, opset: int) -> None:
    from ddim_edge_export.fuse import fuse_step
    from ddim_edge_export.graph.passes import run_passes, save_graph
    from ddim_edge_export.graph.trace import trace
    from ddim_edge_export.networks.denoiser import call_unet, conditional_unet_signature, unet_signature
    from ddim_edge_export.networks.network import Network, evaluation_mode
    from ddim_edge_export.options import read_options
    from ddim_edge_export.quiet import quiet

    read = unet_signature if model.kind == "UNet2DModel" else conditional_unet_signature
    network = Network(module=module, call=call_unet, signature=read(dict(model.config)))
    options = read_options(dtype=dtype, opset=opset, target="cuda", quantize=None, static=None)
    with evaluation_mode(module), quiet():
        graph = trace(network, opset)
        run_passes(graph, options)
    _write_json(bundle / "unet" / "config.json", {**module.config, "_class_name": model.kind})
    _write_json(bundle / "scheduler" / "scheduler_config.json", SCHEDULER)
    save_graph(graph, bundle / "unet" / "model.onnx")
    fuse_step(bundle / "unet")


def _write_json(path: Path, contents: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(contents)) + "\n")
