"""Measurements of the bundled model's quality and of the runtime's speed; none of it is installed."""

import contextlib

with contextlib.suppress(ModuleNotFoundError):  # ``bench/gpu.py`` says what is missing
    from ddim_edge.telemetry import switch_off

    switch_off()  # before a module of this package imports onnxruntime or diffusers
