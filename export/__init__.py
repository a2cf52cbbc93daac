"""From trained PyTorch networks to a bundle that ddim-edge runs without PyTorch. Needs the extra ``export``.

``export_unet`` takes any module with the forward signature (sample, timestep, **conditioning); ``export_folder`` takes
a folder that diffusers saved. Both run ONNX Runtime beside PyTorch before they let a file out.
"""

from .folder import BundleReport, export_folder
from .progress import show_stages
from .report import Report
from .unet import export_unet

__all__ = ["BundleReport", "Report", "export_folder", "export_unet", "show_stages"]
