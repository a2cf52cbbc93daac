"""A bundle that grows component by component, and does not look like one before it is whole."""

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ddim_edge.config import read_json
from ddim_edge.errors import OutputError

from .atomic import check_free
from .record import FILE_NAME, write_json

INDEX = "model_index.json"
_MARK = {"unfinished": "run the same export again, and it goes on where it stopped"}


@contextmanager
def unfinished_folder(out: Path, components: Collection[str]) -> Iterator[None]:
    """Make ``out``, or take up an unfinished one; if the block fails, what is finished in it stays, if anything is.

    ``components`` are the subfolders that will be made in it. An unfinished folder has our export.json, and no
    model_index.json, which has to be written last. ConfigError where ``out`` is something else; OutputError where
    nothing can be written there.
    """
    if not _is_unfinished(out):
        check_free(out)
        _begin(out)
    _remove_leftovers(out, components)
    try:
        yield
    except BaseException:
        _remove_if_nothing_is_finished(out)
        raise


def finish(folder: Path, index: Path) -> None:
    """Make a bundle of it: ``index`` becomes its model_index.json."""
    index.rename(folder / INDEX)


def _is_unfinished(out: Path) -> bool:
    if not (out / FILE_NAME).is_file() or (out / INDEX).exists():
        return False
    # A bundle of one network, without an index, has an export.json of another kind.
    return bool(read_json(out / FILE_NAME).keys() & {*_MARK, "source"})


def _begin(out: Path) -> None:
    try:
        out.mkdir(exist_ok=True)
        write_json(out / FILE_NAME, _MARK)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}; choose another place") from None


def _remove_leftovers(out: Path, components: Collection[str]) -> None:
    """Temporary folders of a run that was killed."""
    for name in components:
        for folder in out.glob(f".{name}.*"):
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_nothing_is_finished(out: Path) -> None:
    if [path.name for path in out.iterdir()] == [FILE_NAME]:
        shutil.rmtree(out, ignore_errors=True)
