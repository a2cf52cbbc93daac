"""Export options: precision, opset, target, fixed sizes, quantization."""

import re
from dataclasses import dataclass
from typing import Any

from ddim_edge.bundle.lora_slots import MAX_RANK, MAX_SLOTS, LoraSlots
from ddim_edge.config import whole_number
from ddim_edge.errors import ConfigError, choose_from, shown

from .precision import FP32, INT8_WEIGHTS, PRECISIONS, Precision

OPSET = 23
"""The first opset with a native Attention operator: half the nodes of opset 20, the same speed, less memory."""
OPSETS = range(18, OPSET + 1)
"""The opsets that PyTorch can write. GroupNormalization is native from 21 on; below, PyTorch uses other operators."""
TARGETS = ("cpu", "cuda", "tensorrt")
"""The graphs for cpu and cuda are the same unless they are quantized: their operators have kernels on both."""
QUANTIZATIONS = ("int8-weights",)
USUAL_RANK = 16
_FIRST_BF16 = 22


@dataclass(frozen=True, kw_only=True)
class Static:
    """The batch, and the image size in pixels, that all graphs are fixed to."""

    batch: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.batch}x{self.height}x{self.width}"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of one component's graph."""

    precision: Precision = FP32
    opset: int = OPSET
    target: str = "cpu"
    quantize: str | None = None
    static: Static | None = None
    lora: LoraSlots | None = None
    """The slots for LoRAs of the UNet and the text encoders; None without any."""
    fuse_step: bool = False
    """Whether the UNet gets a second graph with guidance and the DDIM step."""
    step_cache: int | None = None
    """The branch of the UNet's shallow graph; None without one."""
    keep_fp32: bool = False
    """Whether this component was chosen to stay in fp32."""
    fp32_too: bool = False
    """Whether model.fp32.onnx is written, too."""

    @property
    def comparison(self) -> Precision:
        """The precision whose measure and tolerance apply to the comparison with PyTorch."""
        return self.precision if self.quantize is None else INT8_WEIGHTS

    def to_json(self) -> dict[str, Any]:
        """The keys in export.json."""
        return {
            "dtype": self.precision.name,
            "opset": self.opset,
            "target": self.target,
            "quantize": self.quantize,
            "static": None if self.static is None else str(self.static),
            "lora_slots": None if self.lora is None else self.lora.slots,
            "lora_rank": None if self.lora is None else self.lora.rank,
            "fuse_step": self.fuse_step,
            "step_cache": self.step_cache,
            "keep_fp32": self.keep_fp32,
            "fp32_too": self.fp32_too,
        }


def read_options(
    *,
    dtype: str,
    opset: int,
    target: str,
    quantize: str | None,
    static: str | None,
    lora_slots: int | None = None,
    lora_rank: int | None = None,
    fuse_step: bool = False,
    step_cache: int | None = None,
    keep_fp32: bool = False,
    fp32_too: bool = False,
) -> Options:
    """Check the options. ConfigError names the invalid one."""
    if dtype not in PRECISIONS:
        raise ConfigError(choose_from("dtype", dtype, PRECISIONS))
    if target not in TARGETS:
        raise ConfigError(choose_from("target", target, TARGETS))
    if quantize is not None and quantize not in QUANTIZATIONS:
        raise ConfigError(choose_from("quantization", quantize, QUANTIZATIONS))
    if quantize is not None and dtype != "fp32":
        raise ConfigError(f"quantized weights are for graphs in fp32: leave out --quantize, or --dtype {dtype}")
    if opset not in OPSETS:
        raise ConfigError(f"opset {opset} is not supported: choose from {OPSETS.start} to {OPSETS.stop - 1}")
    if dtype == "bf16" and opset < _FIRST_BF16:
        raise ConfigError(f"bf16 needs opset {_FIRST_BF16} or more, where convolutions accept it, not {opset}")
    if step_cache is not None and step_cache < 0:
        raise ConfigError(f"step cache: branch {step_cache} must be 0 or more")
    return Options(
        precision=PRECISIONS[dtype],
        opset=opset,
        target=target,
        quantize=quantize,
        static=_read_static(static),
        lora=_read_slots(lora_slots, lora_rank),
        fuse_step=fuse_step,
        step_cache=step_cache,
        keep_fp32=keep_fp32,
        fp32_too=fp32_too,
    )


def _read_slots(slots: int | None, rank: int | None) -> LoraSlots | None:
    if slots is None and rank is not None:
        raise ConfigError("lora_rank is the largest rank of an adapter in a slot: give lora_slots (--lora-slots), too")
    if slots is None:
        return None
    rank = USUAL_RANK if rank is None else rank
    whole_number("lora_slots", slots, low=1, high=MAX_SLOTS)
    whole_number("lora_rank", rank, low=1, high=MAX_RANK)
    return LoraSlots(slots, rank)


def _read_static(text: str | None) -> Static | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise ConfigError(f"static {shown(text)} is not BxHxW: give batch, height and width in pixels")
    batch, height, width = map(int, match.groups())
    return Static(batch=batch, height=height, width=width)
