"""Exports trained PyTorch networks to a bundle that ddim-edge runs without PyTorch. Needs the extra ``export``.

``export_unet`` takes any module with the forward signature (sample, timestep, **conditioning). ``export_folder`` takes
a folder that diffusers saved. Both compare ONNX Runtime with PyTorch before they write a file. Names are imported on
first use: ``fuse`` works on finished graphs without PyTorch, and ``diffusers_baseline`` does not use the exporter.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ddim_edge.telemetry import switch_off

if TYPE_CHECKING:
    from .adopt import Adopted, Adoption, adopt_graph
    from .folder import BundleReport, export_folder
    from .output.report import Report
    from .policy.lerobot import export_policy
    from .progress import show_stages
    from .unet import export_unet
    from .with_optimum import export_with_optimum

switch_off()  # before a module of this package imports onnxruntime or diffusers

__all__ = [
    "Adopted",
    "Adoption",
    "BundleReport",
    "Report",
    "adopt_graph",
    "export_folder",
    "export_policy",
    "export_unet",
    "export_with_optimum",
    "show_stages",
]

_MODULES = {
    "Adopted": "adopt",
    "Adoption": "adopt",
    "adopt_graph": "adopt",
    "BundleReport": "folder",
    "Report": "output.report",
    "export_folder": "folder",
    "export_policy": "policy.lerobot",
    "export_unet": "unet",
    "export_with_optimum": "with_optimum",
    "show_stages": "progress",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
