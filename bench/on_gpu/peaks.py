"""Peak rates of GPUs: published by NVIDIA for some, measured with two kernels for the others."""

import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

_SIDE, _COPIED, _REPEATS = 8192, 2**30, 20


class Peak(NamedTuple):
    """Operations and bytes a second."""

    fp16: float
    """Dense matrix products on tensor cores, summed in fp32."""
    fp32: float
    """Without TF32, so not on tensor cores."""
    bandwidth: float
    source: str


_T, _G = 1e12, 1e9

PEAKS: tuple[tuple[str, Peak], ...] = (
    # NVIDIA states fp16 with sparsity where it says nothing else; dense is half of that, and what stands here.
    ("H200", Peak(989.4 * _T, 66.9 * _T, 4800 * _G, "NVIDIA H200 data sheet: 1,979 with sparsity, 67, 4.8 TB/s")),
    (
        "H100 PCIe",
        Peak(756 * _T, 51.2 * _T, 2000 * _G, "NVIDIA H100 data sheet, PCIe: 1,513 with sparsity, 51, 2 TB/s"),
    ),
    ("H100", Peak(989.4 * _T, 66.9 * _T, 3350 * _G, "NVIDIA H100 data sheet, SXM: 1,979 with sparsity, 67, 3.35 TB/s")),
    (
        "A100-SXM4-80GB",
        Peak(312 * _T, 19.5 * _T, 2039 * _G, "NVIDIA A100 data sheet, 80 GB SXM: 312, 19.5, 2,039 GB/s"),
    ),
    (
        "A100 80GB PCIe",
        Peak(312 * _T, 19.5 * _T, 1935 * _G, "NVIDIA A100 data sheet, 80 GB PCIe: 312, 19.5, 1,935 GB/s"),
    ),
    ("A100", Peak(312 * _T, 19.5 * _T, 1555 * _G, "NVIDIA A100 data sheet, 40 GB: 312, 19.5, 1,555 GB/s")),
    (
        "RTX 4090",
        Peak(165.2 * _T, 82.6 * _T, 1008 * _G, "NVIDIA Ada architecture paper: 165.2 in fp32 sums, 82.6, 1,008 GB/s"),
    ),
    # Of the GPU's 170 sparse int8 TOPS, half is dense, and fp16 has half the rate of int8.
    (
        "Orin",
        Peak(
            42.5 * _T,
            5.3 * _T,
            204.8 * _G,
            "Jetson AGX Orin technical brief, 64 GB: 170 int8 TOPS sparse, 5.3, 204.8 GB/s",
        ),
    ),
)
"""By a part of the GPU's name; the first that fits."""


def published(name: str) -> Peak | None:
    """The published rates of a GPU by its name; None for one that is not in the table."""
    return next((peak for part, peak in PEAKS if part.lower() in name.lower()), None)


def measured(device: str = "cuda", side: int = _SIDE, copied: int = _COPIED) -> Peak:
    """The rates of a large matrix product and a large copy in torch."""
    torch: Any = importlib.import_module("torch")
    rates = {}
    for name in ("float16", "float32"):
        kind = getattr(torch, name)
        one, other = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
        out = torch.empty(side, side, device=device, dtype=kind)
        rates[name] = 2 * side**3 / _seconds(torch, partial(torch.matmul, one, other, out=out), device)
    here, there = (torch.empty(copied, device=device, dtype=torch.uint8) for _ in range(2))
    bandwidth = 2 * copied / _seconds(torch, lambda: there.copy_(here), device)
    return Peak(rates["float16"], rates["float32"], bandwidth, "measured with torch: a matrix product and a copy")


def _seconds(torch: Any, run: Callable[[], Any], device: str) -> float:
    """The least seconds of several runs, after one to warm up."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    taken = list[float]()
    for _ in range(_REPEATS):
        wait()
        began = time.perf_counter()
        run()
        wait()
        taken.append(time.perf_counter() - began)
    return min(taken[1:])
