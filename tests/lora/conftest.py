"""A bundle with LoRA slots, and files of trainers for it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from ddim_edge.lora.safetensors import write_safetensors
from tests.helpers.lora_bundles import write_lora_bundle
from tests.helpers.tiny_bundles import Array

Matrices = Mapping[str, tuple[Array, Array]]
WriteLora = Callable[[str, Matrices], Path]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_lora_bundle(tmp_path / "slots")


@pytest.fixture
def write_lora(tmp_path: Path) -> WriteLora:
    """Write a file with kohya's names, whose alpha is twice the rank: the change is 2 · up @ down."""

    def write(name: str, matrices: Matrices) -> Path:
        arrays: dict[str, Array] = {}
        for layer, (up, down) in matrices.items():
            prefix = f"lora_unet_{layer}"
            arrays |= {f"{prefix}.lora_up.weight": up, f"{prefix}.lora_down.weight": down}
            arrays[f"{prefix}.alpha"] = np.array(2 * len(down), np.float32)
        path = tmp_path / f"{name}.safetensors"
        write_safetensors(path, arrays, {})
        return path

    return write
