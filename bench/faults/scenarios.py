"""The commands that are killed, and the files that they leave."""

import functools
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ddim_edge.graphs.file_hashes import read_sha256

MODEL = "fashion-mnist"
Contents = dict[str, bytes]


def _nothing(folder: Path) -> None:
    """Prepare nothing: the command reads the bundled model alone."""


def _never(_file: Path) -> bool:
    return False


@dataclass(frozen=True)
class Scenario:
    """A command that is killed and then given again.

    Attributes:
        title: what the table calls it.
        arguments: of ``ddim-edge``, in a folder of its own.
        outputs: the files and folders that it writes there.
        share: its part of all kills.
        kills: how often it is killed before it may finish; the second kill comes while it goes on after the first.
        prepare: writes what the command reads into the folder.
        is_unfinished: whether a file belongs to something that is not used yet, so that it need not be whole.
        volatile: names of files that differ from run to run, as they have a date in them; ``is_whole`` checks them.
    """

    title: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    share: float
    kills: int = 1
    prepare: Callable[[Path], None] = _nothing
    is_unfinished: Callable[[Path], bool] = _never
    volatile: tuple[str, ...] = ()
    is_whole: Callable[[Path], bool] = _never

    def contents(self, folder: Path) -> Contents:
        """What the command left, by path: without temporary files, whose names begin with a dot."""
        tops = [folder / name for name in self.outputs]
        files = [path for top in tops for path in (top, *top.rglob("*")) if path.is_file()]
        shown = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
        return {path.relative_to(folder).as_posix(): self._data(path) for path in shown if not self.is_unfinished(path)}

    def _data(self, path: Path) -> bytes:
        if path.name in self.volatile:
            return b"whole" if self.is_whole(path) else b"torn"
        return path.read_bytes()


def torn(found: Contents, whole: Contents) -> list[str]:
    """The files that differ from those of a run without a fault; files that are missing are none."""
    return [name for name, data in found.items() if whole.get(name) != data]


def _picture(folder: Path) -> None:
    from PIL import Image

    Image.linear_gradient("L").resize((28, 28)).save(folder / "in.png")


def _source(folder: Path) -> None:
    shutil.copytree(_made_source().name, folder / "source")


@functools.cache
def _made_source() -> "tempfile.TemporaryDirectory[str]":
    """A tiny pipeline: a UNet and an autoencoder of random weights. It is removed when the program ends."""
    from tests.helpers.families import FAMILIES

    folder = tempfile.TemporaryDirectory(prefix="faults-")
    FAMILIES["unconditional"](Path(folder.name))
    return folder


def _is_unfinished_export(file: Path) -> bool:
    """Before model_index.json is written, only the networks are whole: folders with an export.json."""
    out = next(parent for parent in file.parents if parent.name == "out")
    return not (out / "model_index.json").exists() and (
        file.parent == out or not (file.parent / "export.json").exists()
    )


def _is_unfinished_build(file: Path) -> bool:
    return not (file.parent / "built.json").exists()


def _is_whole_build(file: Path) -> bool:
    """Whether a file has the hash of built.json: ONNX Runtime gives the nodes of a graph other names each time."""
    recorded = json.loads((file.parent / "built.json").read_text())["sha256"]
    return file.name == "built.json" or recorded[file.name] == read_sha256(file)


_EXPORT = ("export", "source", "out", "--components", "unet,vae_decoder")

SCENARIOS = {
    "run": Scenario(
        "`run`, one picture", ("run", MODEL, "-s", "4", "-n", "4", "-o", "out.png"), ("out.png",), share=0.16
    ),
    "folder": Scenario(
        "`run` into a folder",
        ("run", MODEL, "-s", "4", "-n", "24", "-b", "4", "-o", "many/"),
        ("many",),
        share=0.26,
    ),
    "gif": Scenario(
        "`run --gif`",
        ("run", MODEL, "-s", "8", "-n", "4", "--gif", "-o", "out.png"),
        ("out.png", "out.gif"),
        share=0.16,
    ),
    "encode": Scenario(
        "`encode`",
        ("encode", "in.png", "-s", "10", "-o", "out.npz", "--force"),
        ("out.npz",),
        share=0.16,
        prepare=_picture,
    ),
    "build": Scenario(
        "`build`",
        ("build", MODEL, "--provider", "cpu"),
        ("cache",),
        share=0.16,
        is_unfinished=_is_unfinished_build,
        volatile=("built.json", "model.onnx"),
        is_whole=_is_whole_build,
    ),
    "export": Scenario("`export`", _EXPORT, ("out",), share=0.05, prepare=_source, is_unfinished=_is_unfinished_export),
    "export-again": Scenario(
        "`export` that goes on",
        _EXPORT,
        ("out",),
        share=0.05,
        kills=2,
        prepare=_source,
        is_unfinished=_is_unfinished_export,
    ),
}
