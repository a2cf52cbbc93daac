"""The API keys of ``ddim-edge serve --api-key-file``, or of the environment."""

import os
from pathlib import Path

from ..errors import ConfigError

KEY_VARIABLE = "DDIM_EDGE_API_KEY"


def api_key_in(file: Path | None) -> str | None:
    """Return the keys of the file, else of the environment. Raises ConfigError if it cannot be read or is empty."""
    if file is None:
        key = os.environ.get(KEY_VARIABLE)
    else:
        try:
            key = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise ConfigError(f"--api-key-file {file} cannot be read") from None
    if key is not None and not key.strip():
        raise ConfigError("the API key is empty: write one into the file, or leave the option out")
    return None if key is None else key.strip()
