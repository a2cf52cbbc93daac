"""The names of a network's layers in LoRA files.

All names are compared with dots as underscores, as kohya's trainers write them. These trainers name the layers of
SDXL's UNet as Stability's code does (``input_blocks_4_1``), where diffusers has ``down_blocks_1_attentions_0``.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_COMPONENTS = {
    "lora_unet_": "unet",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "lora_te_": "text_encoder",
    "unet_": "unet",
    "text_encoder_2_": "text_encoder_2",
    "text_encoder_": "text_encoder",
}
_KEY = re.compile(
    r"(?P<layer>.+?)(?:[._](?:lora|lora_linear_layer))?"
    r"\.(?:(?P<down>lora_down|lora_A(?:\.\w+)?|down)\.weight|(?P<up>lora_up|lora_B(?:\.\w+)?|up)\.weight|(?P<alpha>alpha))"
)
_STABILITY_LAYERS = {
    "conv_in": "input_blocks_0_0",
    "conv_out": "out_2",
    "time_embedding_linear_1": "time_embed_0",
    "time_embedding_linear_2": "time_embed_2",
    "add_embedding_linear_1": "label_emb_0_0",
    "add_embedding_linear_2": "label_emb_0_2",
}
_STABILITY_RESNET = {
    "conv1": "in_layers_2",
    "conv2": "out_layers_3",
    "time_emb_proj": "emb_layers_1",
    "conv_shortcut": "skip_connection",
}
_MIDDLE = {("resnets", 0): 0, ("attentions", 0): 1, ("resnets", 1): 2}


class Key(NamedTuple):
    """A key of a LoRA file: "down", "up" or "alpha" of a layer of a component."""

    name: str
    component: str
    target: str
    role: str


def read_key(name: str) -> Key | None:
    """Parse a key of a LoRA file; None if it is not one."""
    match = _KEY.fullmatch(name)
    if match is None:
        return None
    role = next(role for role in ("down", "up", "alpha") if match[role])
    layer = match["layer"].removeprefix("base_model.model.").replace(".", "_")
    for prefix, component in _COMPONENTS.items():
        if layer.startswith(prefix):
            return Key(name, component, _of_processor(layer.removeprefix(prefix)), role)
    return None


def aliases(layer: str, layers_per_block: Any) -> Iterator[str]:
    """Every name that a LoRA file can have for a layer of a network with that key of its config, if it has one."""
    name = layer.replace(".", "_")
    yield name
    # Since transformers 5, CLIPTextModel has one level less than before, and than CLIPTextModelWithProjection.
    yield name.removeprefix("text_model_") if name.startswith("text_model_") else f"text_model_{name}"
    yield from _stability(name, layers_per_block)


def _of_processor(layer: str) -> str:
    """The layer of a name from before PEFT, when diffusers kept the LoRA of an attention in its processor."""
    plain = layer.replace("_processor_", "_")
    return f"{plain}_0" if plain != layer and plain.endswith("_to_out") else plain


def _stability(name: str, layers: Any) -> Iterator[str]:
    if name in _STABILITY_LAYERS:
        yield _STABILITY_LAYERS[name]
    match = re.fullmatch(
        r"(down|mid|up)_block(?:s_(\d+))?_(resnets|attentions|downsamplers|upsamplers)_(\d+)_(.+)", name
    )
    if match is None or not isinstance(layers, int):
        return
    way, kind, rest = match[1], match[3], _STABILITY_RESNET.get(match[5], match[5])
    block, index = int(match[2] or 0), int(match[4])
    if way == "mid":
        yield f"middle_block_{_MIDDLE[kind, index]}_{rest}"
    elif kind == "downsamplers":
        yield f"input_blocks_{(block + 1) * (layers + 1)}_0_op"
    elif kind == "upsamplers":
        # It follows the attention, if the block has one.
        yield from (f"output_blocks_{block * (layers + 1) + layers}_{place}_{rest}" for place in (1, 2))
    else:
        first = 1 + block * (layers + 1) if way == "down" else block * (layers + 1)
        blocks = "input_blocks" if way == "down" else "output_blocks"
        yield f"{blocks}_{first + index}_{int(kind == 'attentions')}_{rest}"
