"""Bundle layout: the networks that a bundle may have, their files, how often they run, the size of their inputs."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

MODEL = "model.onnx"
"""A network's graph, in the network's folder."""
FP32_MODEL = "model.fp32.onnx"
"""The same network in fp32, used instead of an fp16 graph that overflows."""
STEP_MODEL = "unet_step.onnx"
"""The UNet's graph that also computes guidance and the step, with the weights of ``model.onnx``."""
SHALLOW_MODEL = "shallow.onnx"
"""The UNet's outer blocks alone, which take the deep features that an earlier call of the whole UNet returned."""
DEEP_FEATURES = "deep_features"
"""The UNet's second output, float32 (B, channels, height, width), and the input of ``shallow.onnx``."""
CONFIG = "config.json"
INDEX = "model_index.json"
SCHEDULER = "scheduler/scheduler_config.json"
PICTURE_SCHEDULER = "low_res_scheduler/scheduler_config.json"
"""The noise of the small picture that an upscaler takes."""
GENERATION_CONFIG = "generation_config.json"
OUTPUT = "output.json"
"""What the model's samples are: images, or arrays with axes, units and a normalization."""
EXPORT_RECORD = "export.json"
POLICY = "policy.json"
"""What a robot policy observes and does; other bundles have no such file."""


class Component(NamedTuple):
    """A network that a bundle may have.

    Attributes:
        name: its folder; the first one if there are several ControlNets.
        feeds: the size of its inputs: that of latents (or of the samples of a model without an autoencoder), of pixels,
            of a prompt's tokens, or of a policy's observations.
        hash_rank: its position in the bundle's hash.
        each_step: whether it runs at every step; the others run once per image.
        other_config_folders: where its config.json may also be, as diffusers and other exporters have it.
        companion: the folder with the files that prepare its input; empty where there is none.
    """

    name: str
    feeds: Literal["latents", "pixels", "tokens", "observations"]
    hash_rank: int
    each_step: bool = False
    other_config_folders: tuple[str, ...] = ()
    companion: str = ""

    @property
    def graph(self) -> str:
        """The graph's path in the bundle."""
        return f"{self.name}/{MODEL}"

    def is_in(self, bundle: Path) -> bool:
        """Whether the bundle has this network."""
        return (bundle / self.graph).is_file()


UNET = Component("unet", "latents", 0, each_step=True)
TRANSFORMER = Component("transformer", "latents", 0, each_step=True)
CONTROLNET = Component("controlnet", "latents", 6, each_step=True)
VAE_DECODER = Component("vae_decoder", "latents", 3, other_config_folders=("vae", "vqvae"))
VAE_ENCODER = Component("vae_encoder", "pixels", 4)
TEXT_ENCODER = Component("text_encoder", "tokens", 1, companion="tokenizer")
TEXT_ENCODER_2 = Component("text_encoder_2", "tokens", 2, companion="tokenizer_2")
TEXT_ENCODER_3 = Component("text_encoder_3", "tokens", 9, companion="tokenizer_3")
"""T5."""
SAFETY_CHECKER = Component("safety_checker", "pixels", 5, companion="feature_extractor")
ENCODER = Component("encoder", "observations", 7)
"""A policy's: from observations to the UNet's conditioning, once a decision."""
IMAGE_ENCODER = Component("image_encoder", "pixels", 8)
"""That of IP-Adapters: from a picture to the tokens that the UNet attends to."""

DENOISERS = (UNET, TRANSFORMER)
"""The networks that denoise: a bundle has one of them."""
DENOISER_NAMES = tuple(component.name for component in DENOISERS)
COMPONENTS = (
    *DENOISERS,
    CONTROLNET,
    VAE_DECODER,
    VAE_ENCODER,
    TEXT_ENCODER,
    TEXT_ENCODER_2,
    TEXT_ENCODER_3,
    SAFETY_CHECKER,
    ENCODER,
    IMAGE_ENCODER,
)
"""All networks, in the order in which they are compiled."""

CLASS_INPUT = "class_labels"
POOLED_TEXT = "pooled_projections"
TEXT_MASK = "encoder_attention_mask"
SIZE_INPUTS = ("resolution", "aspect_ratio")
TEXT_INPUTS = ("encoder_hidden_states", "text_embeds", "time_ids", POOLED_TEXT, TEXT_MASK, *SIZE_INPUTS)
T5_TOKENS = 256
"""How many tokens of a text Stable Diffusion 3 reads by T5, the end included: diffusers' max_sequence_length."""
GUIDANCE_INPUT = "timestep_cond"
"""The denoiser's inputs beside sample and timestep: class, text embeddings, SDXL's sizes, embedded guidance scale."""
CONTROL_INPUTS = ("down_block_additional_residuals", "mid_block_additional_residual")
"""Prefixes of the UNet's inputs that take the outputs of ControlNets."""

IMAGE_TOKENS, IMAGE_SCALE = "ip_adapter_tokens", "ip_adapter_scale"
"""The UNet's inputs of the first IP-Adapter: an image's tokens, which the image encoder returns, and their scale."""
NO_IMAGE_TOKENS = "negative_ip_adapter_tokens"
"""The image encoder's output of the tokens for the unconditional prediction, which do not depend on the image."""

WEIGHT_PREFIX, TRANSPOSED = "network.", ".transposed"
"""A layer's weight in a graph is ``network.LAYER.weight``, with the ending where it is stored as (in, out)."""

LORA_WEIGHTS, LORA_DOWN, LORA_UP = "lora_weights", "lora_down.", "lora_up."
"""The inputs of LoRA slots: the weight of each rank for each row, (B, columns), and the matrices of each layer."""
LORA_COLUMNS = "lora_columns"
"""The free axis of these inputs: the ranks of all adapters of a call, one behind the other."""
LORAS = "loras"
"""The folder of a bundle's adapters, one NAME.safetensors each."""


def numbered(name: str, index: int) -> str:
    """A name for the first of several, then with _1, _2 and so on behind it."""
    return f"{name}_{index}" if index else name


def is_lora_input(name: str) -> bool:
    """Whether a graph's input is one of its LoRA slots."""
    return name == LORA_WEIGHTS or name.startswith((LORA_DOWN, LORA_UP))


def is_conditioning(name: str) -> bool:
    """Whether a UNet's input is what a row is conditioned on: not its sample, and not what other networks return."""
    others = ("sample", "timestep", DEEP_FEATURES)
    return name not in others and not name.startswith(CONTROL_INPUTS) and not is_lora_input(name)


def is_free_input(name: str) -> bool:
    """Whether a UNet's input is conditioning that no rule knows: it is given by name."""
    known = (CLASS_INPUT, *TEXT_INPUTS, GUIDANCE_INPUT)
    return is_conditioning(name) and name not in known and not name.startswith((IMAGE_TOKENS, IMAGE_SCALE))


def denoiser_in(bundle: Path) -> Component | None:
    """The network that denoises in a bundle; None for a folder without one."""
    return next((component for component in DENOISERS if component.is_in(bundle)), None)


def component_named(folder: str) -> Component:
    """The network of a folder of a bundle, such as unet, or controlnet_1 for the second ControlNet. Raises KeyError."""
    by_name = {component.name: component for component in COMPONENTS}
    return by_name.get(folder) or by_name[re.sub(r"_[0-9]+$", "", folder)]


def graphs_of(bundle: Path) -> Iterator[Path]:
    """The paths of the graphs that a bundle has, in the order of ``COMPONENTS``, every ControlNet included."""
    for component in COMPONENTS:
        names = control_names() if component is CONTROLNET else iter((component.name,))
        for name in names:
            if not (bundle / name / MODEL).is_file():
                break
            yield bundle / name / MODEL


def control_names() -> Iterator[str]:
    """The folders of ControlNets: controlnet, controlnet_1, controlnet_2 and so on."""
    for index in itertools.count():
        yield numbered(CONTROLNET.name, index)
