"""Adapters: the LoRAs of a bundle, in the form in which its networks take them.

``BUNDLE/loras/NAME.safetensors`` has the two matrices of each changed layer as COMPONENT/INPUT, where INPUT is the name
of the graph's input. alpha/rank is in ``up``, and a layer of a smaller rank than the adapter's is filled up with zeros.
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..arrays import Array
from ..bundle.layout import LORA_DOWN, LORAS
from ..errors import BundleError, ConfigError, choose_from, shown
from ..graphs.file_hashes import known_sha256
from ..graphs.inputs import Declared
from .safetensors import SafetensorsFile, open_safetensors

SUFFIX = ".safetensors"
RANK, SOURCE = "rank", "source"
"""Keys of the file's metadata."""
_LARGEST_RANK = 2**16


class UsedLora(NamedTuple):
    """An adapter of a request: its name, its scale, and the hash of its file."""

    name: str
    scale: float
    sha256: str


class Adapter:
    """An adapter's file.

    Attributes:
        rank: the number of columns that it takes.
        source: the name of the file that it was converted from.
    """

    def __init__(self, path: Path) -> None:
        self._file = _open(path)
        self.path, self.source = path, self._file.metadata.get(SOURCE, "")
        self.rank = int(self._file.metadata[RANK])

    @property
    def nbytes(self) -> int:
        """The bytes of its matrices."""
        return sum(tensor.size for tensor in self._file.tensors.values())

    def inputs(self, component: str) -> Mapping[str, Array]:
        """Its matrices for one network, by the names of the graph's inputs; mapped from the file, read-only."""
        prefix = f"{component}/"
        names = [name for name in self._file.tensors if name.startswith(prefix)]
        return {name.removeprefix(prefix): self._file.mapped(name) for name in names}

    def check_fits(self, component: str, inputs: Mapping[str, Declared]) -> None:
        """BundleError where its matrices are not those of a graph with these inputs: it is of another bundle."""
        prefix = f"{component}/"
        for name, tensor in self._file.tensors.items():
            if not name.startswith(prefix):
                continue
            found = inputs.get(name.removeprefix(prefix))
            axis = rank_axis(name.removeprefix(prefix), len(tensor.shape))
            wanted = None if found is None else _with_rank(found.shape, axis, self.rank)
            if tensor.shape != wanted:
                raise BundleError(
                    f"{self.path}: {shown(name)} is {tensor.shape}, and this bundle takes {wanted or 'no such input'}: "
                    "it was converted for another one. Run `ddim-edge lora FILE BUNDLE` again"
                )


def rank_axis(name: str, axes: int) -> int:
    """Which axis of an input of a layer is that of the ranks; of a convolution's matrices, which have 4, the other."""
    return int(name.startswith(LORA_DOWN) is (axes == 2))


def adapter_path(folder: Path, name: str) -> Path:
    """Where the bundle in ``folder`` has the adapter ``name``. ConfigError for a text that is no name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise ConfigError(f"a LoRA's name has letters, digits and _.- and at most 64 of them, unlike {shown(name)}")
    return folder / LORAS / f"{name}{SUFFIX}"


def adapter_names(folder: Path) -> list[str]:
    """The names of a bundle's adapters."""
    return sorted(path.name.removesuffix(SUFFIX) for path in (folder / LORAS).glob(f"[A-Za-z0-9]*{SUFFIX}"))


def open_adapter(folder: Path, name: str) -> Adapter:
    """Open an adapter of the bundle in ``folder``. ConfigError for an unknown name, BundleError for a broken file."""
    path = adapter_path(folder, name)
    if not path.is_file():
        names = adapter_names(folder)
        if names:
            raise ConfigError(choose_from(f"LoRA of {folder.name}", name, names))
        raise ConfigError(f"{folder.name} has no LoRA {shown(name)}: `ddim-edge lora FILE {folder}` adds one")
    return _opened(path, known_sha256(path))


def used_lora(folder: Path, name: str, scale: float) -> UsedLora:
    """An adapter of the bundle in ``folder`` for a request. Raises as ``open_adapter``."""
    return UsedLora(name, scale, known_sha256(open_adapter(folder, name).path))


@functools.lru_cache(maxsize=64)
def _opened(path: Path, _sha256: str) -> Adapter:
    return Adapter(path)


def _with_rank(shape: tuple[int | str, ...], axis: int, rank: int) -> tuple[int | str, ...]:
    return (*shape[:axis], rank, *shape[axis + 1 :])


def _open(path: Path) -> SafetensorsFile:
    try:
        file = open_safetensors(path)
    except ConfigError as error:
        raise BundleError(str(error)) from None
    rank = file.metadata.get(RANK, "")
    if not (re.fullmatch(r"[0-9]{1,5}", rank) and 0 < int(rank) < _LARGEST_RANK):
        raise BundleError(f"{path} says no rank: it is no adapter that `ddim-edge lora` wrote")
    if any(tensor.kind not in ("F32", "F16") or len(tensor.shape) not in (2, 4) for tensor in file.tensors.values()):
        raise BundleError(f"{path} has matrices of another type: it is no adapter that `ddim-edge lora` wrote")
    return file
