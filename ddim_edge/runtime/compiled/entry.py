"""One compiled graph: its folder, the record of what is in it, and how to run it.

Each has its own folder, ``CACHE/PROVIDER-COMPONENT-KEY``, in the bundle's folder or in the user's cache. Its
``built.json`` is written last: a folder without one is unfinished and is not used. The key is a hash of everything that
must match; ``built.json`` has the same as readable values, for the message when something does not match any more.
"""

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ...bundle.layout import MODEL
from ...config import read_json
from ...config.schema import check_json, list_of, mapping_of, real, text, whole
from ...errors import BundleError
from ...files import output_errors, write_file
from ...graphs.external_data import check_onnx_file
from ...graphs.fingerprint import Stamps
from ..providers.table import BUILDABLE, CompiledForm, provider_named
from .integrity import Contents, contents_of, damaged
from .places import bundle_cache, cached_folders
from .recipe import Recipe, Shapes, provider_options

RECORD = "built.json"
TIMING = ".timing"
"""The suffix of TensorRT's timing caches. They may change at any time, and are kept for the next build."""

_MOST = 2**63
_SCHEMA = {
    "provider": text(),
    "graph": text(),
    "shapes": mapping_of(list_of(whole(0, _MOST))),
    "options": mapping_of(text()),
    "graph_sha256": text(),
    "stamps": mapping_of(list_of(whole(0, _MOST))),
    "sketch": text(),
    "files": mapping_of(whole(0, _MOST)),
    "sha256": mapping_of(text()),
    "seconds": real(0),
    "bytes": whole(0, _MOST),
    "date": text(),
}


@dataclass(frozen=True)
class Compiled:
    """A compiled graph, and how to run it.

    Attributes:
        folder: its folder in the cache.
        recipe: what was compiled, and for what; its ``graph`` is the source.
        sha256: the hash of the source graph and its weights.
        stamps, sketch: of the source's files when it was compiled, to recognize it without reading all of it.
        contents: what its files must be.
        seconds, size, date: how long it took, its bytes on disk, and when it was finished, in ISO 8601.
    """

    folder: Path
    recipe: Recipe
    sha256: str
    stamps: Stamps
    sketch: str
    contents: Contents
    seconds: float
    size: int
    date: str

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read a folder of the cache; None where it is unfinished, or of another version of this program."""
        try:
            facts = _checked(read_json(folder / RECORD))
            recipe = Recipe.from_json(facts, folder)
            stamps = {name: tuple(stamp) for name, stamp in facts["stamps"].items()}
            sketch, *known = (facts[name] for name in ("sketch", "seconds", "bytes", "date"))
            contents = _recorded_contents(facts)
            return cls(folder, recipe, facts["graph_sha256"], stamps, sketch, contents, *known)
        except (ValueError, KeyError, TypeError, AttributeError):  # a ConfigError is a ValueError
            return None

    @property
    def _form(self) -> CompiledForm | None:
        return provider_named(self.recipe.provider).compiled_form

    @property
    def graph(self) -> Path:
        """The graph for ONNX Runtime to open: for engines the source, because the provider finds them by itself."""
        return self.recipe.graph if self._form is CompiledForm.ENGINES else self.folder / MODEL

    @property
    def optimized(self) -> bool:
        """Whether the graph is optimized already, and has to be opened with ORT_DISABLE_ALL."""
        return self._form is CompiledForm.OPTIMIZED

    @property
    def mapped_files(self) -> list[Path]:
        """The files that ONNX Runtime may read weights from while it runs: those of an optimized graph."""
        return [self.folder / name for name in self.contents.sizes] if self.optimized else []

    @property
    def is_context(self) -> bool:
        """Whether it is an EPContext model, which has one node in place of all that the provider compiled."""
        return self._form is CompiledForm.CONTEXT

    @property
    def options(self) -> dict[str, str]:
        """The provider's options to run it with."""
        return provider_options(self.recipe, self.folder)

    @property
    def session_entries(self) -> dict[str, str]:
        """The session's config entries: an EPContext model that does not fit must fail, not be compiled again."""
        return {"session.disable_model_compile": "1"} if self.is_context else {}

    @property
    def batches(self) -> tuple[int, ...]:
        """The rows of its inputs, such as 2, or 1 and 2 for a fused step of guided images; empty where any fit."""
        return tuple(sorted({shape[0] for shape in self.recipe.shapes.values()}))

    @property
    def sample_rows(self) -> tuple[int, ...]:
        """The numbers of samples that it was compiled for; empty where it takes any."""
        shape = self.recipe.shapes.get("sample")
        return self.batches if shape is None else shape[:1]

    def damage(self, *, reads_all: bool = False) -> str | None:
        """What is wrong with its files, as text; None where nothing is. ``reads_all`` as for ``damaged``.

        TensorRT would build a missing engine for minutes, a plugin may crash, and other weights make other images.
        """
        fault = damaged(self.folder, self.contents, reads_all=reads_all)
        if fault is None and self._form is not CompiledForm.ENGINES:
            try:
                check_onnx_file(self.graph, self.folder)
            except BundleError as error:
                return str(error)
        return fault

    def fits(self, shapes: Shapes) -> bool:
        """Whether it takes inputs of these shapes; inputs with fixed shapes may be left out."""
        return all(shapes.get(name) == shape for name, shape in self.recipe.shapes.items())


def write_record(folder: Path, recipe: Recipe, sha256: str, seconds: float) -> Compiled:
    """Write ``built.json``, which marks a folder as finished. Raises OutputError where it cannot be written."""
    with output_errors(folder):
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        contents = contents_of(folder, without=(TIMING, RECORD))
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
    files = {"files": contents.sizes, "sha256": contents.hashes}
    measured = {"seconds": round(seconds, 3), "bytes": size, "date": date, **files}
    facts = {**recipe.to_json(folder, sha256), **measured}
    write_file(folder / RECORD, json.dumps(facts, indent=1).encode())
    written = Compiled.read(folder)
    assert written is not None
    return written


def verify_compiled(bundle: Path) -> int:
    """Read everything that is compiled in a bundle's folder, and return its number of files.

    Raises BundleError for a file that is not what was built. Unfinished folders, which are not used, are left out.
    """
    entries = list(filter(None, map(Compiled.read, cached_folders(bundle_cache(bundle)))))
    for entry in entries:
        fault = entry.damage(reads_all=True)
        if fault is not None:
            raise BundleError(f"{entry.folder} is damaged: {fault}. Remove it, or run `ddim-edge build` again")
    return sum(len(entry.contents.sizes) for entry in entries)


def _checked(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises ConfigError or ValueError for a record whose values have other types, or that lacks one."""
    check_json(facts, _SCHEMA, RECORD)
    if any(facts.get(key) is None for key in _SCHEMA) or facts["provider"] not in BUILDABLE:
        raise ValueError("the record is not complete")
    return facts


def _recorded_contents(facts: Mapping[str, Any]) -> Contents:
    """Raises ValueError for a record without the hash of every file, or with a file of another folder."""
    sizes, hashes = dict(facts["files"]), dict(facts["sha256"])
    if not sizes or sizes.keys() != hashes.keys() or any(Path(name).name != name for name in sizes):
        raise ValueError("the files are not all recorded")
    return Contents(sizes, hashes)
