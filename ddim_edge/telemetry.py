"""Telemetry of other packages: switched off, in this process and in those that it starts."""

import os

KEEP_VARIABLE = "DDIM_EDGE_ORT_TELEMETRY"
"""The variable that leaves ONNX Runtime's telemetry on, with the value 1."""


def switch_off() -> None:
    """Switch off what onnxruntime and huggingface_hub report to their makers. Call it before their first import.

    ONNX Runtime reports by itself, and keeps a device number and a database below ``~/.cache/Microsoft``. The variable
    of huggingface_hub is also read by diffusers, transformers and hf_xet; a value that the user gave it stays.
    """
    if os.environ.get(KEEP_VARIABLE) != "1":
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
