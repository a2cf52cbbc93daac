"""Speed, memory and size of the runtime, beside diffusers in torch."""

from pathlib import Path
from typing import NamedTuple


class Subject(NamedTuple):
    """What is measured: the bundle, and the diffusers folder of its trained UNet if there is one."""

    bundle: Path
    diffusers_folder: Path | None = None
