"""What a measured process notes: when its steps ended, and the latents that they led to."""

import json
import sys
import time
from pathlib import Path
from typing import Any

NOISE = "noise.npy"
"""The file with the noise that an image of Stable Diffusion's size starts from, for who cannot draw it."""


class Notes:
    """The times of one run, in seconds of the clock that all processes of a machine share.

    Attributes:
        settings: the process's one argument.
        folder: the model's files.
        out: where the notes and the image go.
    """

    def __init__(self) -> None:
        self.settings: dict[str, Any] = json.loads(sys.argv[1])
        self.folder = Path(self.settings["folder"])
        self.out = Path(self.settings["out"])
        self._began: float | None = None
        self._ends = list[float]()

    def begin(self, *_: Any) -> None:
        """Note that the first step begins; later calls change nothing."""
        self._began = time.monotonic() if self._began is None else self._began

    def step(self) -> None:
        """Note that a step has ended."""
        self._ends.append(time.monotonic())

    def write(self, latents: Any = None) -> None:
        """Write the notes, and the latents if they can be had, an array (1, C, H, W)."""
        if latents is not None:
            import numpy as np  # stable-diffusion.cpp's package does not need it

            np.save(self.out / "latents.npy", np.asarray(latents, np.float32))
        notes = {"began": self._began, "steps": self._ends}
        (self.out / "notes.json").write_text(json.dumps(notes))
