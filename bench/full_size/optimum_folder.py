"""optimum's folder, exported by it from our source, in its own environment."""

import importlib
import sys
from pathlib import Path


def make(source: Path, out: Path) -> None:
    """Write the whole pipeline in float32."""
    exporters = importlib.import_module("optimum.exporters.onnx")
    exporters.main_export(str(source), out, task="text-to-image", do_validation=False)


if __name__ == "__main__":
    make(*map(Path, sys.argv[1:3]))
