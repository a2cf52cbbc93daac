"""Which options of provider_options.json the installed packages hold: ``python -m tests.runtime.option_keys``.

A library that is not installed can be looked through where it was unpacked:
``python -m tests.runtime.option_keys coreml libonnxruntime.1.32.0.dylib``.
What is not found is printed. A compiler makes numbers of a short name, so that one may be there all the same.
"""

import importlib.metadata
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GOLDEN: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("provider_options.json").read_text("utf-8"))
_LIBRARY_SUFFIXES = (".so", ".dll", ".dylib", ".pyd")


def libraries(provider: str) -> Iterator[Path]:
    """The shared libraries of the package that brings the provider; none where it is not installed, or brings none."""
    if GOLDEN[provider].get("platform", sys.platform) != sys.platform:
        return
    try:
        files = importlib.metadata.files(GOLDEN[provider]["package"]) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files:
        if "onnxruntime" in file.name and set(file.suffixes) & set(_LIBRARY_SUFFIXES):
            yield Path(str(file.locate()))


def not_found(provider: str, held: bytes) -> list[str]:
    """The keys of the provider that do not occur in the bytes of its library."""
    return [key for key in GOLDEN[provider]["keys"] if key.encode() not in held]


def main(arguments: list[str]) -> None:
    for provider in arguments[:1] or GOLDEN:
        paths = [Path(argument) for argument in arguments[1:]] or list(libraries(provider))
        if paths:
            print(provider, "not found:", *not_found(provider, b"".join(path.read_bytes() for path in paths)))


if __name__ == "__main__":
    main(sys.argv[1:])
