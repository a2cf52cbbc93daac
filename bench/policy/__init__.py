"""The trained policy of models/point-maze: how often it succeeds, and how quickly it decides."""

from pathlib import Path

from ..results import ROOT

SUBJECT = "policy"
PACKAGES = ("ddim-edge", "onnxruntime", "torch", "diffusers", "gymnasium-robotics", "mujoco")
BUNDLE = ROOT / "models" / "point-maze"
REGRESSION = Path("runs/point-maze/regression/bundle")
"""Where ``python -m models.training.point_maze --regression`` leaves its bundle, which the repository does not have."""
EPISODES = 200
PAIRED = 1000
"""The episodes of a cell, and of the two that are compared start by start."""
