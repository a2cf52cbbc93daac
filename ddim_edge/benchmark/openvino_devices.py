"""Worker process that lists OpenVINO's devices: a driver that crashes or hangs ends this process only."""

import sys
from collections.abc import Mapping
from typing import Any

from ..runtime.providers.openvino_module import devices
from ..runtime.workers.child import Record, serve_once
from ..runtime.workers.process import ChildProcess

_SECONDS = 60.0
_CPU = "CPU"


def other_devices() -> list[str]:
    """OpenVINO's devices beside the CPU, listed in a process of its own; empty where that fails."""
    process = ChildProcess((sys.executable, "-m", __name__))
    try:
        process.send({}, last=True)
        response = process.last_response() if process.wait(_SECONDS) == 0 else None
        return [name for name in (response or {}).get("devices", []) if name != _CPU]
    finally:
        process.kill()


def respond(_request: Mapping[str, Any]) -> Record:
    """All devices. Raises ProviderError where OpenVINO is broken."""
    return {"devices": list(devices())}


if __name__ == "__main__":
    serve_once(respond)
