"""Notices that SOURCE of ``ddim-edge export`` is a LeRobot policy."""

from pathlib import Path

from ..config import read_json
from ..errors import ConfigError

_CONFIG = "config.json"
_FEATURES = "input_features"
"""A key of config.json that LeRobot writes, and diffusers does not."""


def is_policy(source: str) -> bool:
    """Whether SOURCE is a folder that LeRobot saved a policy to. A folder that cannot be read is none."""
    path = Path(source) / _CONFIG
    try:
        return path.is_file() and _FEATURES in read_json(path)
    except ConfigError:
        return False
