"""All measurements on a GPU: ``python -m bench.gpu``, or ``python3 bench/gpu.py`` where nothing is installed."""

import sys
from pathlib import Path


def main() -> None:
    """Run the command, from any folder."""
    root = str(Path(__file__).resolve().parents[1])
    sys.path[:0] = [root] if root not in sys.path else []
    from bench.on_gpu.needs import missing_packages

    missing = missing_packages()
    if missing:
        sys.exit(missing)
    from bench.on_gpu.from_clone import make_importable

    make_importable()
    from bench.on_gpu.command import main as command

    command()


if __name__ == "__main__":
    main()
