"""``ddim_edge.ray.generate``: a Ray Dataset of chunks that are written to a folder, or of options and their images."""

import os
from collections.abc import Iterable
from functools import partial
from typing import Any

from ..bundle.read import open_bundle
from ..errors import ConfigError, choose_from
from ..generation.requests.option_table import Options
from ..generation.requests.options import check_request, recipe_of
from ..generation.requests.request import Request
from ..images.formats import FORMATS, check_holds_arrays
from ..networks.components import unet_graph
from ..runtime.providers.device import Device
from ..runtime.providers.table import AUTO, provider_named
from ..runtime.sessions.pool import computes_in
from .cluster import num_workers, prepare
from .folder import Folder
from .workers import ChunkWorker, Model, RowWorker

_MOST_BLOCKS = 1000


def generate(
    source: Any,
    model: str | os.PathLike[str] = "fashion-mnist",
    provider: str | Device = "auto",
    *,
    output: str | os.PathLike[str] | None = None,
    file_format: str = "png",
    png_level: int | None = None,
    mixed_machines: bool = False,
    low_memory: bool = False,
    max_memory: int | str | None = None,
) -> Any:
    """Make images on the Ray cluster that this process is connected to; return a lazy ``ray.data.Dataset``.

    ``source`` is a Dataset whose columns are options of ``Pipeline.generate``: the result has two more columns,
    ``images``, uint8 (N, H, W, C), and ``recipe``, JSON text. Or it is a Request (``pipeline.request(...)``) with
    ``output``, a folder that every machine of the cluster has, or the URL of one in a store: the result has one row a
    chunk, and while it is read, the workers write the files that a run on one machine would write, byte for byte. What
    the folder has is not made again. ``file_format``, ``png_level`` and ``mixed_machines`` are those of ``ddim-edge
    run``, for its files.

    Every worker holds the model. It has as many processors as a run on this machine has threads; with provider cuda or
    tensorrt, a GPU and one processor.

    Raises ConfigError for unknown columns, a request without a folder, and a cluster that is too small for a worker,
    BundleError for a missing model, OutputError for a folder that holds another run.
    """
    bundle = open_bundle(model)
    device = Device.parse(provider) if isinstance(provider, str) else provider
    there = Model.of(bundle, device, low_memory, max_memory)
    if not isinstance(source, Request):
        if output is not None:
            raise ConfigError("output is for a Request: write the Dataset that is returned with Ray's own functions")
        return map_rows(source, there)
    if output is None:
        raise ConfigError("a Request needs output: the folder for its images")
    if file_format not in FORMATS:
        raise ConfigError(choose_from("file_format", file_format, FORMATS))
    if not bundle.output.is_image:
        check_holds_arrays(bundle.name, f".{file_format}")
    check_request(bundle, source)
    recipe = recipe_of(bundle, source, precision=computes_in(unet_graph(bundle), device))
    folder = Folder.at(os.fspath(output), recipe, f".{file_format}", png_level, mixed_machines)
    return map_chunks(folder.missing(source), source, there, folder)


def map_chunks(chunks: list[range], request: Request, model: Model, folder: Folder) -> Any:
    """The Dataset of ``chunks``, which workers write to ``folder`` while it is read."""
    prepare()
    import ray.data

    rows = [{"start": chunk.start, "stop": chunk.stop} for chunk in chunks]
    blocks = ray.data.from_items(rows, override_num_blocks=min(len(rows), _MOST_BLOCKS) or 1)
    return _mapped(blocks, ChunkWorker, model, len(chunks), request=request, folder=folder)


def map_rows(rows: Any, model: Model) -> Any:
    """The Dataset ``rows``, whose columns are options, with their images and recipes."""
    prepare()
    check_columns(rows.columns() or ())
    return _mapped(rows, RowWorker, model)


def check_columns(columns: Iterable[str]) -> None:
    """Raise ConfigError for a column that is no option of ``Pipeline.generate``."""
    known = sorted(Options.__annotations__)
    for column in columns:
        if column not in known:
            raise ConfigError(choose_from("column", column, known))


def _mapped(rows: Any, worker: type, model: Model, most: int | None = None, **arguments: Any) -> Any:
    """``rows`` mapped by at most ``most`` actors that fill the cluster; each has one row and one that waits.

    Ray Data starts actors that were lost again, and repeats their calls.
    """
    import ray

    device = model.device
    gpus = int(device.provider != AUTO and provider_named(device.provider).is_nvidia)
    cpus = 1 if gpus else device.threads or 1
    nodes: Any = ray.nodes  # it has no annotations
    room = num_workers(nodes(), cpus, gpus)
    in_pool = partial(ray.data.ActorPoolStrategy, max_tasks_in_flight_per_actor=2)
    return rows.map(
        worker,
        fn_constructor_kwargs={"model": model, **arguments},
        compute=in_pool(size=room if most is None else max(1, min(room, most))),
        num_cpus=cpus,
        num_gpus=gpus,
    )
