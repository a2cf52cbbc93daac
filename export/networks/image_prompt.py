"""Image prompts (IP-Adapter): the image encoder with the adapters' projections, and the UNet's attention to its tokens.

Ye et al. 2023 (https://arxiv.org/abs/2308.06721), eq. 4 and 5: each cross-attention of the UNet attends to the text and
to the image's tokens with the same queries; the second result, times the adapter's scale, is added to the first.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from ddim_edge.bundle.layout import IMAGE_SCALE, IMAGE_TOKENS, NO_IMAGE_TOKENS, numbered
from ddim_edge.errors import ConfigError

from ..config_keys import Config, count
from ..sources.ip_adapter import IpAdapter
from .signature import Input, Signature, image_axes

Weights = Mapping[str, torch.Tensor]


class ImagePrompt(NamedTuple):
    """What the UNet's attention gets of one adapter: tokens (B, tokens, width), and their scale (B,)."""

    tokens: torch.Tensor
    scale: torch.Tensor


class ImagePromptEncoder(torch.nn.Module):
    """CLIP's image encoder with the projections of all adapters, which share it."""

    def __init__(self, vision: torch.nn.Module, adapters: Sequence[IpAdapter]) -> None:
        super().__init__()
        self.vision = vision
        self.pooled = [adapter.pooled for adapter in adapters]
        self.projections = torch.nn.ModuleList(_projection(adapter) for adapter in adapters)
        config: Any = vision.config
        blank = torch.zeros(1, 3, config.image_size, config.image_size)
        with torch.no_grad():
            for index, tokens in enumerate(self._tokens(blank, blank=True)):
                self.register_buffer(numbered(NO_IMAGE_TOKENS, index), tokens)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Each adapter's tokens of ``pixels``, float32 (B, 3, H, W); then those that stand for no image."""
        negative = (self.get_buffer(numbered(NO_IMAGE_TOKENS, index)) for index in range(len(self.pooled)))
        return (*self._tokens(pixels), *(tokens.expand(len(pixels), -1, -1) for tokens in negative))

    def _tokens(self, pixels: torch.Tensor, *, blank: bool = False) -> list[torch.Tensor]:
        """``blank``: diffusers' negative image is a black one's hidden states, but an image embedding of zeros."""
        output: Any = self.vision(pixels, output_hidden_states=True)
        embedding = torch.zeros_like(output.image_embeds) if blank else output.image_embeds
        pairs = zip(self.projections, self.pooled, strict=True)
        return [projection(embedding if pooled else output.hidden_states[-2]) for projection, pooled in pairs]


class ImagePromptAttention(torch.nn.Module):
    """The processor of one cross-attention: attends to the text, and to each adapter's tokens.

    It replaces that of diffusers, whose scale is not an input.
    """

    def __init__(self, keys: Sequence[torch.Tensor], values: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.to_k = torch.nn.ModuleList(map(_linear, keys))
        self.to_v = torch.nn.ModuleList(map(_linear, values))

    def forward(
        self,
        attention: Any,
        hidden: torch.Tensor,
        encoder_hidden_states: tuple[torch.Tensor, Sequence[ImagePrompt]],
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """``hidden``: (B, positions, channels); the text is (B, tokens, width)."""
        text, prompts = encoder_hidden_states
        query, heads = attention.to_q(hidden), attention.heads
        found = _attend(query, attention.to_k(text), attention.to_v(text), heads, attention_mask)
        for prompt, to_k, to_v in zip(prompts, self.to_k, self.to_v, strict=True):
            more = _attend(query, to_k(prompt.tokens), to_v(prompt.tokens), heads)
            found = found + prompt.scale[:, None, None] * more
        output: torch.Tensor = attention.to_out[0](found)
        return output


def add_ip_adapters(unet: torch.nn.Module, adapters: Sequence[IpAdapter]) -> None:
    """Give a UNet2DConditionModel's cross-attentions the adapters' weights. ConfigError for those of another UNet."""
    network: Any = unet
    processors = dict(network.attn_processors)
    crossing = [name for name in processors if not name.endswith("attn1.processor")]
    weights = [adapter.weights("ip_adapter") for adapter in adapters]
    for number, name in enumerate(crossing):
        shape = network.get_submodule(name.removesuffix(".processor")).to_k.weight.shape
        # A file numbers all attentions, and those that cross are every second one.
        keys, values = (f"{2 * number + 1}.to_{part}_ip.weight" for part in "kv")
        for adapter, found in zip(adapters, weights, strict=True):
            _check_weights(adapter, found, (keys, values), shape)
        processors[name] = ImagePromptAttention(*([found[part] for found in weights] for part in (keys, values)))
    network.set_attn_processor(processors)
    network.encoder_hid_proj = torch.nn.Identity()  # the tokens are projected already
    network.register_to_config(encoder_hid_dim_type="ip_image_proj")


def image_encoder_signature(config: Config, adapters: Sequence[IpAdapter]) -> Signature:
    """Takes CLIP's pixels. Returns each adapter's tokens, then those that stand for no image."""
    side = count(config, "image_size", default=224)
    shapes = [("batch", adapter.num_tokens(config), adapter.width) for adapter in adapters]
    names = [numbered(name, index) for name in (IMAGE_TOKENS, NO_IMAGE_TOKENS) for index in range(len(adapters))]
    return Signature(
        inputs=(Input(name="pixel_values", axes=image_axes(3, height=side, width=side)),),
        outputs=dict(zip(names, shapes * 2, strict=True)),
        sizes=({},),
    )


def call_image_encoder(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Call the image encoder. Returns the tokens."""
    outputs: tuple[torch.Tensor, ...] = module(inputs["pixel_values"])
    return outputs


def image_prompt_inputs(adapters: Sequence[IpAdapter], encoder: Config) -> tuple[Input, ...]:
    """The UNet's inputs of each adapter: its tokens and their scale."""
    pairs = (
        (
            Input(name=numbered(IMAGE_TOKENS, index), axes=("batch", adapter.num_tokens(encoder), adapter.width)),
            Input(name=numbered(IMAGE_SCALE, index), axes=("batch",)),
        )
        for index, adapter in enumerate(adapters)
    )
    return tuple(entry for pair in pairs for entry in pair)


def _projection(adapter: IpAdapter) -> torch.nn.Module:
    """The module of diffusers for a file's ``image_proj``. diffusers renames the weights in this method alone."""
    from diffusers import UNet2DConditionModel

    loader: Any = UNet2DConditionModel
    try:
        weights = adapter.weights("image_proj")
        made = loader._convert_ip_adapter_image_proj_to_diffusers(None, weights, low_cpu_mem_usage=False)
    except (KeyError, RuntimeError) as error:
        raise ConfigError(f"{adapter.path}: its image_proj is not complete ({error}): get the file again") from None
    assert isinstance(made, torch.nn.Module)
    return made


def _check_weights(adapter: IpAdapter, found: Weights, names: Sequence[str], shape: torch.Size) -> None:
    for name in names:
        if name not in found or found[name].shape != shape:
            given = tuple(found[name].shape) if name in found else "nothing"
            raise ConfigError(
                f"{adapter.path} has {given} for ip_adapter.{name}, and the unet needs {tuple(shape)}: it is an "
                "adapter for another base model"
            )


def _linear(weight: torch.Tensor) -> torch.nn.Linear:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = torch.nn.Parameter(weight)
    return layer


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int, mask: torch.Tensor | None = None
) -> torch.Tensor:
    query, key, value = (array.unflatten(-1, (heads, -1)).transpose(1, 2) for array in (query, key, value))
    found = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return found.transpose(1, 2).flatten(2)
