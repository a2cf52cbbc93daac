"""UNets and ControlNets: their signatures, read from config.json, and how PyTorch calls them."""

from collections.abc import Mapping
from typing import Any

import torch

from ddim_edge.bundle.layout import IMAGE_SCALE, IMAGE_TOKENS

from ..config_keys import Config, count, one_of, per_level, widths
from .conditioning import BASE_TIME_IDS, label_inputs, text_inputs
from .image_prompt import ImagePrompt
from .signature import Axes, Input, Signature, Sizes, distinct_integers, distinct_numbers, image_axes
from .sizes import two_image_sizes

_SEQUENCES = (77, 154)
_DOWN = "down_block_additional_residuals"
_MIDDLE = "mid_block_additional_residual"
_ADDED = ("text_embeds", "time_ids")


def unet_signature(config: Config, *, whole_timesteps: bool = False) -> Signature:
    """A UNet2DModel, or any network that is called like one: sample, timestep, optional class_labels.

    The timestep is float32, or int64 with ``whole_timesteps``. ConfigError names an unsupported key of the config.
    """
    one_of(config, "class_embed_type", (None, "timestep", "identity"))
    return _unet(config, _base(config, whole_timesteps=whole_timesteps))


def conditional_unet_signature(
    config: Config,
    *,
    time_ids: int = BASE_TIME_IDS,
    residuals: bool = False,
    images: tuple[Input, ...] = (),
    text: bool = True,
) -> Signature:
    """A UNet2DConditionModel. With ``residuals`` it also takes the residuals of ControlNets, and the inputs ``images``.

    ``images``: those of IP-Adapters, as of ``image_prompt_inputs``. Without ``text`` the prompt is a part of it.
    """
    one_of(config, "encoder_hid_dim_type", (None, "text_proj"))
    # "gated" attention reads the boxes of GLIGEN.
    one_of(config, "attention_type", (None, "default"))
    inputs = (*_base(config), *(text_inputs(config, time_ids) if text else ()), *images)
    return _unet(config, (*inputs, *_residuals(config)) if residuals else inputs)


def controlnet_signature(config: Config, *, time_ids: int = BASE_TIME_IDS) -> Signature:
    """A ControlNetModel: takes a conditional UNet's inputs and the control image, and returns that UNet's residuals.

    The residuals are at full strength. The caller multiplies them by the control's scale and adds several controls.
    """
    factor = 2 ** (len(widths(config, "conditioning_embedding_out_channels")) - 1)
    channels = count(config, "conditioning_channels", default=3)
    control = image_axes(channels, height=f"height*{factor}", width=f"width*{factor}")
    pooled = bool(config.get("global_pool_conditions"))
    return Signature(
        inputs=(*_base(config), *text_inputs(config, time_ids), Input(name="controlnet_cond", axes=control)),
        outputs={entry.name: (*entry.axes[:2], 1, 1) if pooled else entry.axes for entry in _residuals(config)},
        sizes=_sizes(config),
    )


def call_unet(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor]:
    """Call a UNet. Returns the prediction."""
    arguments = _arguments(inputs)
    return (_sample(module(arguments.pop("sample"), arguments.pop("timestep"), **arguments)),)


def call_controlnet(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Call a ControlNet. Returns the residuals of the down blocks in order, then that of the middle block."""
    down, middle = module(**_arguments(inputs), return_dict=False)
    return (*down, middle)


def _arguments(inputs: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The keyword arguments of diffusers' forward, which takes some inputs inside a dict or a list."""
    arguments: dict[str, Any] = {}
    for name, value in inputs.items():
        if name in _ADDED:
            arguments.setdefault("added_cond_kwargs", {})[name] = value
        elif name.startswith(_DOWN):
            arguments.setdefault(_DOWN, []).append(value)
        elif name.startswith(IMAGE_TOKENS):
            prompt = ImagePrompt(value, inputs[name.replace(IMAGE_TOKENS, IMAGE_SCALE)])
            arguments.setdefault("added_cond_kwargs", {}).setdefault("image_embeds", []).append(prompt)
        elif name.startswith(IMAGE_SCALE):
            continue
        else:
            arguments[name] = value
    return arguments


def _sample(output: Any) -> torch.Tensor:
    """The prediction in a UNet's output: a tensor, a tuple that begins with it, or an object with ``sample``."""
    if isinstance(output, torch.Tensor):
        return output
    found = getattr(output, "sample", None)
    if found is None and isinstance(output, (tuple, list)) and output:
        found = output[0]
    if not isinstance(found, torch.Tensor):
        raise TypeError(f"it returned a {type(output).__name__}, not a tensor, a tuple or an object with .sample")
    return found


def _unet(config: Config, inputs: tuple[Input, ...]) -> Signature:
    return Signature(inputs=inputs, outputs={"out_sample": ("batch", None, "height", "width")}, sizes=_sizes(config))


def _sizes(config: Config) -> tuple[Sizes, ...]:
    if "cross_attention_dim" not in config:
        return tuple({"height": height, "width": width} for height, width in two_image_sizes(config))
    # Traced at odd sizes, the network upsamples to the size of the skip connection, so the graph takes all sizes.
    (height, width), small = two_image_sizes(config)
    sizes: list[Sizes] = [{"height": height, "width": width}, {"height": small[0] + 1, "width": small[1] + 3}]
    return tuple({**size, "sequence": length} for size, length in zip(sizes, _SEQUENCES, strict=True))


def timestep_input(config: Config, *, whole_timesteps: bool = False) -> tuple[Input, int]:
    """The input timestep, float32, or int64 with ``whole_timesteps``; and the number of trained timesteps."""
    # Fourier features use log(t), and the output is divided by t, so t must not be 0.
    first = 1 if config.get("time_embedding_type") == "fourier" else 0
    last = max(count(config, "num_train_timesteps", default=1000), first + 1)
    # A learned embedding is a table with a row for each whole timestep.
    whole = whole_timesteps or config.get("time_embedding_type") == "learned"
    draw = distinct_integers if whole else distinct_numbers
    return Input(name="timestep", axes=("batch",), draw=draw(first, last)), last


def _base(config: Config, *, whole_timesteps: bool = False) -> tuple[Input, ...]:
    timestep, last = timestep_input(config, whole_timesteps=whole_timesteps)
    sample = Input(name="sample", axes=image_axes(count(config, "in_channels")))
    return sample, timestep, *label_inputs(config, last)


def _residuals(config: Config) -> tuple[Input, ...]:
    """The residuals that a ControlNet adds to the skip connections of the down blocks in order, and to the middle."""
    channels = widths(config, "block_out_channels")
    axes = [_level(channels[0], 0)]
    for level, layers in enumerate(per_level(config, "layers_per_block", len(channels))):
        axes += [_level(channels[level], level)] * layers
        if level < len(channels) - 1:
            axes.append(_level(channels[level], level + 1))
    down = [Input(name=f"{_DOWN}.{index}", axes=entry) for index, entry in enumerate(axes)]
    return *down, Input(name=_MIDDLE, axes=_level(channels[-1], len(channels) - 1))


def _level(channels: int, level: int) -> Axes:
    divisor = f"/{2**level}" if level else ""
    return image_axes(channels, height=f"height{divisor}", width=f"width{divisor}")
