"""The programs that are compared, the most important first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_SD = ("sd-1", "sd-4")
_SHORT = (*_SD, "lcm-4", "pixels-20")
_LONGEST = ("sd-20",)
_ALL = (*_SHORT, *_LONGEST)
_OURS = ("ddim-edge[cpu,text]",)
_OPENVINO = ("ddim-edge[cpu,openvino,text]",)
_DIFFUSERS = ("torch", "diffusers", "transformers")


@dataclass(frozen=True, kw_only=True)
class Side:
    """One way to make the image.

    Attributes:
        worker: the module of ``workers`` that makes it.
        folders: its model, for each kind of workload.
        options: what the worker is told beyond the workload.
        packages: what a user installs; the size of these and of what they need is counted.
        needs: the things to make first, for each kind of workload.
        environment: the virtual environment that it runs in; None for this one.
        cache: the folder with ddim-edge's builds.
        weights: what it reads of its folder, where that is not all of it.
        step_seconds: about how long a guided step takes, for the estimate of the whole time.
        plain: the side that is the same without a step cache; None for one that has none.
    """

    title: str
    worker: str
    folders: Mapping[str, str]
    packages: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    options: Mapping[str, Any] = field(default_factory=dict)
    workloads: tuple[str, ...] = _SD
    environment: str | None = None
    cache: str | None = None
    weights: str | None = None
    step_seconds: float = 10.0
    plain: str | None = None


def _ours(title: str, *options: str, cache: str, bundle: str = "bundle", build: str | None = None, **more: Any) -> Side:
    """``ddim-edge run`` with options, and with the builds in a cache."""
    return Side(
        **{
            "title": f"ddim-edge, {title}",
            "worker": "ours",
            "folders": {"sd": bundle, "pixels": "pixels/bundle"},
            "packages": _OURS,
            "needs": {"sd": (build or bundle,), "pixels": ("pixels",)},
            "options": {"options": options},
            "cache": f"cache/{cache}",
            **more,
        }
    )


def _cached(step_cache: str, title: str, *options: str, plain: str, **more: Any) -> Side:
    """``ddim-edge run --cache``, for the longest run alone."""
    words = (*options, "--cache", step_cache)
    alone = {"workloads": _LONGEST, "step_seconds": 4.5, "plain": plain}
    return _ours(f"{title}, --cache {step_cache}", *words, **{**alone, **more})


def _diffusers(title: str, dtype: str, *, compile: bool = False, deepcache: int | None = None, **more: Any) -> Side:
    return Side(
        title=f"diffusers, {title}",
        worker="diffusers",
        folders={"sd": "source", "pixels": "pixels/source"},
        packages=_DIFFUSERS if deepcache is None else (*_DIFFUSERS, "DeepCache"),
        needs={"sd": ("source",), "pixels": ("pixels",)},
        options={"dtype": dtype, "compile": compile, "deepcache": deepcache},
        **more,
    )


def _openvino(title: str, precision: str, **more: Any) -> Side:
    return Side(
        title=f"OpenVINO alone, {title}: the UNet in a bare loop",
        worker="openvino_alone",
        folders={"sd": "bundle", "pixels": "pixels/bundle"},
        packages=("openvino",),
        needs={"sd": ("bundle",), "pixels": ("pixels",)},
        options={"precision": precision},
        workloads=(*_SD, "pixels-20"),
        **more,
    )


def _sdcpp(kind: str) -> Side:
    return Side(
        title=f"stable-diffusion.cpp, {kind}",
        worker="sdcpp",
        folders={"sd": "sdcpp"},
        packages=("stable-diffusion-cpp-python",),
        needs={"sd": (f"sdcpp-{kind}",)},
        options={"file": f"{kind}.gguf"},
        environment="sdcpp",
        weights=f"sdcpp/{kind}.gguf",
        step_seconds=30,
    )


_BF16 = ("--provider", "openvino", "--precision", "bfloat16")
SIDES: Mapping[str, Side] = {
    "ours": _ours("float32", "--provider", "cpu", cache="cpu", build="build-cpu", workloads=_ALL),
    "diffusers": _diffusers("float32", "float32", workloads=_ALL),
    "ours-bf16": _ours(
        "OpenVINO, bfloat16",
        *_BF16,
        cache="openvino",
        packages=_OPENVINO,
        workloads=_ALL,
        step_seconds=5.0,
    ),
    "diffusers-bf16": _diffusers("bfloat16", "bfloat16", workloads=_ALL, step_seconds=6.0),
    "openvino-bf16": _openvino("bfloat16", "bf16", step_seconds=5.0),
    "ours-openvino": _ours(
        "OpenVINO, float32",
        "--provider",
        "openvino",
        cache="openvino",
        packages=_OPENVINO,
        workloads=(*_SD, "pixels-20"),
    ),
    "openvino": _openvino("float32", "f32"),
    "ours-memory": _ours(
        "float32, --max-memory 1.2GB", "--provider", "cpu", "--max-memory", "1.2GB", cache="cpu", build="build-cpu"
    ),
    "ours-8bit": _ours("8-bit weights", "--provider", "cpu", bundle="bundle-8bit", cache="8bit", build="build-8bit"),
    "ours-plain": _ours("float32, --no-build", "--provider", "cpu", "--no-build", cache="none"),
    "genai": Side(
        title="OpenVINO GenAI",
        worker="genai",
        folders={"sd": "genai"},
        packages=("openvino-genai",),
        needs={"sd": ("genai",)},
        options={"properties": {}},
        environment="genai",
        step_seconds=5.0,
    ),
    "optimum": Side(
        title="optimum, float32",
        worker="optimum",
        folders={"sd": "optimum"},
        packages=("optimum-onnx", "onnxruntime", "diffusers"),
        needs={"sd": ("optimum",)},
        environment="optimum",
    ),
    "sdcpp-q8_0": _sdcpp("q8_0"),
    "sdcpp-f16": _sdcpp("f16"),
    "compiled-bf16": _diffusers("torch.compile, bfloat16", "bfloat16", compile=True, step_seconds=20),
    "compiled": _diffusers("torch.compile, float32", "float32", compile=True, step_seconds=25),
}
_DEEP: Mapping[str, Any] = {"cache": "deep", "bundle": "bundle-deep", "build": "build-deep"}
_BF16_CACHED: Mapping[str, Any] = {"plain": "ours-bf16", "packages": _OPENVINO, "step_seconds": 2.0}
_DEEPCACHE: Mapping[str, Any] = {"deepcache": 3, "workloads": _LONGEST}
CACHED_SIDES: Mapping[str, Side] = {
    "ours-forecast": _cached(
        "forecast:3", "float32", "--provider", "cpu", plain="ours", cache="cpu", build="build-cpu"
    ),
    "ours-deep": _cached("deep:3", "float32", "--provider", "cpu", plain="ours", **_DEEP),
    "diffusers-deepcache": _diffusers(
        "float32, DeepCache with N = 3", "float32", plain="diffusers", step_seconds=4.5, **_DEEPCACHE
    ),
    "ours-bf16-forecast": _cached("forecast:3", "OpenVINO, bfloat16", *_BF16, cache="openvino", **_BF16_CACHED),
    "ours-bf16-deep": _cached(
        "deep:3", "OpenVINO, bfloat16", *_BF16, cache="openvino-deep", bundle="bundle-deep", **_BF16_CACHED
    ),
    "diffusers-bf16-deepcache": _diffusers(
        "bfloat16, DeepCache with N = 3", "bfloat16", plain="diffusers-bf16", step_seconds=2.5, **_DEEPCACHE
    ),
}
"""The sides with a step cache, of ``--caches``."""
ALL_SIDES: Mapping[str, Side] = {**SIDES, **CACHED_SIDES}
REFERENCE = "diffusers"
"""The side that the others' latents are compared with."""
QUICK = ("ours", "diffusers", "ours-bf16", "diffusers-bf16", "openvino-bf16")
"""The sides of ``--quick``."""
