"""``run --requests``: makes an image for each row of a table, and writes them to a folder."""

import contextlib
import functools
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import click

from ..bundle.bundle import Bundle
from ..bundle.read import open_bundle
from ..config import whole_number
from ..errors import ConfigError, OutputError, PredictionError
from ..generation.machine import machine_of
from ..generation.pipeline import Pipeline
from ..generation.requests.named_arrays import NamedArrays, check_named
from ..generation.requests.option_table import Options
from ..generation.requests.options import default_batch_size, request_of
from ..generation.requests.request import Request
from ..images.archive import folder_of
from ..images.earlier_files import RunFiles, make_room
from ..images.encode import check_channels
from ..images.save import ImageFolder, is_folder
from ..images.storage import Storage, storage_of
from ..networks.components import unet_graph
from ..runtime.sessions.pool import computes_in
from .array_options import check_arrays, default_format, holds_samples, named_arrays
from .beside import Beside
from .destination import local_or_url, tars_of
from .image_options import given_options
from .output import free_names, new_folder
from .progress import step_bar
from .report import Outcome, counted, facts, finished_before, rate
from .requests_recipe import model_facts, plain_options
from .requests_table import Row, read_table
from .row_pictures import RowPictures
from .seed import check_shared_seed, same_command
from .shards import ALL
from .standard_output import STANDARD_OUTPUT

DEFAULT_MODEL = "fashion-mnist"
_NOT_WITH_A_TABLE = ("num_images", "latents", "from_image", "gif", "save_every", "show", "warmup")
_COLUMNS_ONLY = {
    "init_image": "init_image",
    "mask": "mask",
    "control_image": "control_images",
    "ip_adapter_image": "ip_adapter_images",
}
"""Options of pictures, and the columns that a table has for them."""
_IN_TURN = ("labels", "prompt")
"""Options of several values: row k has value k, and from the last one on the first again."""


def requests_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the command --requests, which is run here."""

    @click.option(
        "--requests",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A .csv, .jsonl or .parquet file with an image a row, and options as columns, such as prompt or "
        "guidance_scale. Options on the command line are for empty cells. Writes a folder.",
    )
    @functools.wraps(command)
    def with_requests(requests: Path | None, **options: Any) -> None:
        if requests is None:
            command(**options)
        else:
            run_requests(requests, options)

    return with_requests


def run_requests(path: Path, options: Mapping[str, Any]) -> None:
    """Make the images of a table's rows; ``options`` are those of ``ddim-edge run``, by their parameters."""
    _check_options(options)
    table = read_table(path)
    device, bundle = options["device"], open_bundle(options["model"] or DEFAULT_MODEL)
    if bundle.is_policy:
        raise ConfigError(f"{bundle.name} is a robot policy, which --requests does not run: give --conditioning FILE")
    named = named_arrays(bundle, options["conditioning"])
    given = given_options(bundle, options) | ({} if named is None else {"conditioning": named})
    rows = TableRows(bundle, path, table.rows, given)
    tars = tars_of(options["archive"], options["images_per_tar"], len(table.rows), rows.batch_size)
    largest = rows.check()
    suffix = f".{options['file_format'] or default_format(bundle)}"
    check_arrays(bundle, suffix, {"enlarge": options["enlarge"]})
    if not holds_samples(suffix):
        check_channels(bundle.image_shape()[0])
    folder = _folder(bundle, options["output"])

    def open_folder(machine: Mapping[str, str] | None) -> ImageFolder:
        own = {"requests_sha256": table.sha256, **rows.to_json()}
        recipe = {**model_facts(bundle, computes_in(unet_graph(bundle), device)), **own}
        return folder_of(
            tars, folder, recipe, suffix, machine, options["png_level"], lambda index: rows.recipe(pipeline, index)
        )

    files = RunFiles(len(table.rows), suffix, tars.step if tars else None)
    make_room(folder, files, lambda: open_folder(None), force=options["force"])
    pipeline = Pipeline(
        bundle, device, low_memory=options["low_memory"], max_memory=options["max_memory"], request=largest
    )
    images = open_folder(None if options["mixed_machines"] else machine_of(pipeline))
    began = time.perf_counter()
    mine = (options["shard"] or ALL).of(rows.chunks(), tars)
    made = _make(pipeline, rows, images, mine, visible=not options["quiet"])
    if not options["quiet"]:
        there, seconds = sum(map(len, mine)) - made, time.perf_counter() - began
        outcome = Outcome(str(folder), made, pipeline.provider, seconds, there, what=bundle.output.kind)
        click.echo(_report(outcome, rows.seed, as_json=options["as_json"]))


class TableRows:
    """The rows of a table as requests of one image.

    Row k has the options of its cells; for the rest it is image k of a run with the ``common`` options: its seed is
    ``seed + k``, and of several prompts or labels it has the one whose turn it is.
    """

    def __init__(self, bundle: Bundle, path: Path, rows: Sequence[Row], common: Mapping[str, Any]) -> None:
        self._bundle, self._path, self._rows, self._common = bundle, path, rows, dict(common)
        self.batch_size = self._common.pop("batch_size", default_batch_size(bundle))
        whole_number("batch_size", self.batch_size, low=1)
        self.seed: int = self._common.get("seed", 0)
        named = self._common.get("conditioning")
        if named is not None:
            check_named(bundle, named, len(rows))
        self._heads, self._pictures = (RowPictures(bundle, path.parent, heads=heads) for heads in (True, False))

    def check(self) -> Request:
        """Raise ConfigError for a row that the model does not support. Returns a batch of the largest image."""
        requests = map(self._checked, range(len(self._rows)))
        largest = max(requests, key=lambda request: self._pixels(request) * request.rows)
        count = min(self.batch_size, len(self._rows))
        return replace(largest, num_images=count, batch_size=self.batch_size, seed=0)

    def _checked(self, index: int) -> Request:
        try:
            return request_of(self._bundle, self._options(index, self._heads))
        except ConfigError as error:
            raise ConfigError(f"{self._path}, row {index + 1}: {error}") from None

    def _pixels(self, request: Request) -> int:
        return math.prod(self._bundle.sample_shape_for(request.height, request.width))

    def _options(self, index: int, pictures: RowPictures) -> Options:
        """The generation options of a row, from 0 on."""
        common = {"labels": range(len(self._bundle.labels)), **self._common}
        turns: dict[str, Any] = {
            name: [common[name][index % len(common[name])]] for name in _IN_TURN if common.get(name)
        }
        if (named := self._common.get("conditioning")) is not None:
            turns["conditioning"] = NamedArrays(named.row(index))
        given = pictures.options({**self._common, **turns, "seed": self.seed + index, **self._rows[index]})
        return cast(Options, {**given, "num_images": 1, "batch_size": 1})

    def alone(self, pipeline: Pipeline, index: int) -> Request:
        """The request of a row, from 0 on. ConfigError for a picture that cannot be read."""
        try:
            return pipeline.request(**self._options(index, self._pictures))
        except ConfigError as error:
            raise ConfigError(f"{self._path}, row {index + 1}: {error}") from None

    def recipe(self, pipeline: Pipeline, index: int) -> Mapping[str, Any]:
        """What makes the image of a row, from 0 on, again."""
        return pipeline.recipe(self.alone(pipeline, index))

    def chunks(self) -> list[range]:
        """The rows of each batch."""
        count, size = len(self._rows), self.batch_size
        return [range(first, min(first + size, count)) for first in range(0, count, size)]

    def to_json(self) -> dict[str, Any]:
        """What the images depend on besides the table, as JSON values."""
        return {"num_images": len(self._rows), "batch_size": self.batch_size, "options": plain_options(self._common)}


def _make(pipeline: Pipeline, rows: TableRows, folder: ImageFolder, mine: Sequence[range], *, visible: bool) -> int:
    """Make those of the batches that miss an image; returns the number of images. PredictionError if some failed.

    A whole batch is made again, so that its images are the same however often the run was interrupted.
    """
    chunks = [chunk for chunk in mine if not all(map(folder.holds, chunk))]
    total, failed, written = sum(map(len, chunks)), list[str](), Beside()
    try:
        with step_bar(total, visible=visible, text="image") as advance:
            for chunk in chunks:
                requests = [rows.alone(pipeline, index) for index in chunk]
                for position, made in pipeline.generate_many(requests, max_rows=2 * len(chunk)):
                    if made.error is None:
                        written.do(folder.add, chunk[position], made.contents(folder.suffix))
                    else:
                        failed.append(f"row {chunk[position] + 1}: {made.error}")
                    advance()
        written.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(OutputError):
            written.wait()
        raise click.Abort(f"{_how_far(folder, mine)}: {same_command(rows.seed)} to go on") from None
    finally:
        written.close()
    if failed:
        raise PredictionError(f"{len(failed)} of {total} images could not be made; {failed[0]}")
    return total


def _how_far(folder: ImageFolder, chunks: Sequence[range]) -> str:
    there, count = sum(folder.holds(index) for chunk in chunks for index in chunk), sum(map(len, chunks))
    return f"interrupted with {there} of {count} images in {folder.storage}"


def _check_options(options: Mapping[str, Any]) -> None:
    for name in _NOT_WITH_A_TABLE:
        if options[name] not in (None, False, ()):
            raise ConfigError(f"--requests makes an image for each row of the table: leave {_flag(name)} out")
    for name, column in _COLUMNS_ONLY.items():
        if options[name]:
            raise ConfigError(
                f"--requests reads paths of pictures from the table: give {column} there, not {_flag(name)}"
            )
    check_shared_seed(options["seed"], options["shard"])
    if options["output"] is not None and (options["output"] == STANDARD_OUTPUT or not is_folder(options["output"])):
        raise ConfigError("--requests writes a file for each row: give a folder as --output, such as --output images/")


def _flag(parameter: str) -> str:
    return f"--{parameter.replace('_', '-')}"


def _folder(bundle: Bundle, output: str | None) -> Storage:
    target = local_or_url(output) or str(new_folder(free_names(bundle.name, "")))
    folder = storage_of(target)
    folder.create()
    return folder


def _report(outcome: Outcome, seed: int, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({**facts(outcome), "seed": seed})
    made = counted(outcome, outcome.num_made)
    return finished_before(outcome) or f"{outcome.path}  ({made}, seed {seed}, {rate(outcome)})"
