"""The programs that are compared, the most important first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_SD = ("sd-1", "sd-4")
_SHORT = (*_SD, "lcm-4", "pixels-20")
_ALL = (*_SHORT, "sd-20")
_OURS = ("ddim-edge[cpu,text]",)
_OPENVINO = ("ddim-edge[cpu,text]", "openvino")
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
        also: other folders and files of its weights.
        step_seconds: about how long a guided step takes, for the estimate of the whole time.
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
    step_seconds: float = 10.0


def _ours(title: str, *options: str, cache: str, **more: Any) -> Side:
    """``ddim-edge run`` with options, and with the builds in a cache."""
    return Side(
        **{
            "title": f"ddim-edge, {title}",
            "worker": "ours",
            "folders": {"sd": "bundle", "pixels": "pixels/bundle"},
            "packages": _OURS,
            "needs": {"sd": ("bundle",), "pixels": ("pixels",)},
            "options": {"options": options},
            "cache": f"cache/{cache}",
            **more,
        }
    )


def _diffusers(title: str, dtype: str, *, compile: bool = False, **more: Any) -> Side:
    return Side(
        title=f"diffusers, {title}",
        worker="diffusers",
        folders={"sd": "source", "pixels": "pixels/source"},
        packages=_DIFFUSERS,
        needs={"sd": ("source",), "pixels": ("pixels",)},
        options={"dtype": dtype, "compile": compile},
        **more,
    )


SIDES: Mapping[str, Side] = {
    "ours": _ours("float32", "--provider", "cpu", cache="cpu", workloads=_ALL),
    "diffusers": _diffusers("float32", "float32", workloads=_SHORT),
    "diffusers-bf16": _diffusers("bfloat16", "bfloat16", workloads=_ALL, step_seconds=6.0),
}
REFERENCE = "diffusers"
"""The side that the others' latents are compared with."""
QUICK = ("ours", "diffusers", "ours-bf16", "diffusers-bf16", "openvino-bf16")
"""The sides of ``--quick``."""
