"""Writes a bundle component by component. It has no model_index.json, so it is not a bundle, until it is complete."""

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ddim_edge.bundle.layout import EXPORT_RECORD, INDEX, SCHEDULER
from ddim_edge.config import read_json
from ddim_edge.errors import OutputError
from ddim_edge.files import remove_leftovers
from ddim_edge.whole_folder import check_free

from .record import write_json

_MARK = {"unfinished": "run the same export again, and it goes on where it stopped"}


@contextmanager
def unfinished_folder(out: Path, components: Collection[str]) -> Iterator[None]:
    """Create ``out``, or continue an unfinished one. If the block fails, finished components stay.

    ``components`` are the subfolders that will be created in it. An unfinished folder has an export.json from
    ``_begin`` and no model_index.json, which is written last. ConfigError where ``out`` is something else; OutputError
    where nothing can be written there.
    """
    for folder in (out, (out / SCHEDULER).parent):
        remove_leftovers(folder)
    if not _is_unfinished(out):
        check_free(out)
        _begin(out)
    _remove_leftovers(out, components)
    try:
        yield
    except BaseException:
        _remove_if_nothing_is_finished(out)
        raise


def _is_unfinished(out: Path) -> bool:
    if not (out / EXPORT_RECORD).is_file() or (out / INDEX).exists():
        return False
    # A bundle of one network has no model_index.json either, but an export.json with other keys.
    return bool(read_json(out / EXPORT_RECORD).keys() & {*_MARK, "source"})


def _begin(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / EXPORT_RECORD, _MARK)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}; choose another place") from None


def _remove_leftovers(out: Path, components: Collection[str]) -> None:
    """Remove temporary folders of an export that was killed."""
    for name in components:
        for folder in out.glob(f".{name}.*"):
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_nothing_is_finished(out: Path) -> None:
    if [path.name for path in out.iterdir()] == [EXPORT_RECORD]:
        shutil.rmtree(out, ignore_errors=True)
