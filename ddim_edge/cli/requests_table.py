"""Tables of requests: a CSV, JSON Lines or Parquet file with an image a row and generation options as columns."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..config.json_file import parse_json
from ..errors import ConfigError, choose_from, shortened, shown
from ..extras import install_command
from ..files import open_regular
from ..generation.requests.option_table import OPTIONS
from .row_pictures import PICTURES

Row = dict[str, Any]
"""The options that a row has, by their names; without those whose cells are empty."""

_NOT_IN_ROWS = ("num_images", "batch_size", "shape")
"""A row is one image; the batch is that of the run, and so is the shape."""
_KINDS = {option.name: option.cli.kind for option in OPTIONS if option.cli and option.name not in _NOT_IN_ROWS}
COLUMNS: Mapping[str, type] = {**_KINDS, **dict.fromkeys(PICTURES, str)}
"""The columns that a table may have, with the types of their values."""
_LARGEST = 2**28
"""The largest file, in bytes."""
_MOST_ROWS = 10**6
_SCALES = ("control_scale", "ip_adapter_scale")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class Table(NamedTuple):
    """The rows of a file, and the hash of its contents."""

    rows: Sequence[Row]
    sha256: str


def read_table(path: Path) -> Table:
    """Read a .csv, .jsonl or .parquet file. Raises ConfigError for anything wrong in it, with the row, from 1 on."""
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise ConfigError(f"--requests must be a file that ends in {', '.join(_READERS)}, not {shown(str(path))}")
    contents = _contents(path)
    rows: list[Row] = []
    for cells in read(path, contents):
        if len(rows) == _MOST_ROWS:
            raise ConfigError(f"{path} has more than {_MOST_ROWS:,} rows: make several files of it")
        rows.append(_row(f"{path}, row {len(rows) + 1}", cells))
    if not rows:
        raise ConfigError(f"{path} has no rows: write one for each image")
    return Table(rows, hashlib.sha256(contents).hexdigest())


def _contents(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            contents = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise ConfigError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from None
    if len(contents) > _LARGEST:
        raise ConfigError(f"{path} has more than {_LARGEST:,} bytes: make several files of it")
    return contents


def _csv_rows(path: Path, contents: bytes) -> Iterator[Row]:
    try:
        lines = csv.reader(io.StringIO(contents.decode("utf-8-sig"), newline=""), strict=True)
        names = next(lines, [])
        _check_columns(path, names)
        for number, cells in enumerate(filter(None, lines), start=1):
            if len(cells) != len(names):
                counts = f"{len(cells)} cells, and the header has {len(names)} columns"
                raise ConfigError(f"{path}, row {number}: {counts}: put a cell with commas in quotes")
            yield {name: cell for name, cell in zip(names, cells, strict=True) if cell.strip()}
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not CSV in UTF-8: {shortened(str(error))}") from None


def _json_rows(path: Path, contents: bytes) -> Iterator[Row]:
    for number, line in enumerate(filter(bytes.strip, contents.splitlines()), start=1):
        where = f"{path}, row {number}"
        cells = dict(parse_json(line, where))
        _check_columns(where, cells)
        yield cells


def _parquet_rows(path: Path, contents: bytes) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ConfigError(f"{path}: Parquet files need pyarrow: {install_command('parquet')}") from None
    try:
        file = ParquetFile(pyarrow.BufferReader(contents))
        _check_columns(path, file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=1024):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise ConfigError(f"{path} is not a Parquet file that can be read: {shortened(str(error))}") from None


_READERS: Mapping[str, Callable[[Path, bytes], Iterator[Row]]] = {
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
    ".parquet": _parquet_rows,
}


def _check_columns(where: Path | str, names: Iterable[str]) -> None:
    """Raise ConfigError for a column that is no option of a row, and for one that stands there twice."""
    seen = set()
    for name in names:
        if name not in COLUMNS:
            raise ConfigError(f"{where}: {choose_from('the column', name, COLUMNS)}")
        if name in seen:
            raise ConfigError(f"{where}: there are two columns {name}")
        seen.add(name)


def _row(where: str, cells: Row) -> Row:
    row = {}
    for name, cell in cells.items():
        if cell is not None:
            try:
                row[name] = _value(name, cell)
            except (TypeError, ValueError, OverflowError):
                raise ConfigError(f"{where}: {name} must be {_wanted(name)}, not {shown(cell)}") from None
    return row


def _value(name: str, cell: Any) -> Any:
    """The value of a cell: text, as all are in CSV, or already of the type. Raises ValueError for another one."""
    kind = COLUMNS[name]
    if name == "guidance_interval":
        low, high = map(float, _several(cell))
        return low, high
    if name in _SCALES:
        return tuple(map(float, _several(cell)))
    if name in ("control_images", "ip_adapter_images", "loras"):
        return [_text(part) for part in _several(cell)]
    if isinstance(cell, bool) or kind is bool:
        return _boolean(cell, kind)
    if name == "labels":
        return [cell if isinstance(cell, str) else _whole(cell)]
    return _text(cell) if kind is str else _whole(cell) if kind is int else kind(cell)


def _several(cell: Any) -> Sequence[Any]:
    """The values of a cell with several: a list, or text with commas; one value alone is itself."""
    if isinstance(cell, str):
        return [part.strip() for part in cell.split(",")]
    return [cell] if isinstance(cell, int | float) and not isinstance(cell, bool) else list(cell)


def _text(cell: Any) -> str:
    if not isinstance(cell, str):
        raise ValueError
    return cell


def _boolean(cell: Any, kind: type) -> bool:
    text = str(cell).strip().lower()
    if kind is not bool or text not in _BOOLEANS:
        raise ValueError
    return _BOOLEANS[text]


def _whole(cell: Any) -> int:
    """A whole number; also one that a table holds as a float, which is how columns with empty cells are often kept."""
    number = int(cell)
    if not isinstance(cell, str) and number != cell:
        raise ValueError
    return number


def _wanted(name: str) -> str:
    if name == "guidance_interval":
        return "two noise levels, for instance 0.2,3"
    if name == "labels":
        return "one class, by its name or number"
    if name in _SCALES:
        return "a number for each ControlNet or IP-Adapter, for instance 0.5,1"
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(COLUMNS[name], "text")
