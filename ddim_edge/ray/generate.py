"""``ddim_edge.ray.generate``: a Ray Dataset of chunks that are written to a folder, or of options and their images."""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..bundle.read import bundled_names, open_bundle
from ..errors import ConfigError, choose_from
from ..generation.requests.option_table import Options
from ..generation.requests.options import check_request, recipe_of
from ..generation.requests.request import Request
from ..images.save import SUFFIXES, ImageFolder
from ..networks.components import unet_graph
from ..runtime.hardware.cpu import describe
from ..runtime.providers.device import Device
from ..runtime.sessions.pool import computes_in
from .cluster import num_workers, prepare
from .workers import ChunkWorker, Folder, Model, RowWorker

_MOST_BLOCKS = 1000
_GPU_PROVIDERS = ("cuda", "tensorrt")
_ADDED = ("images", "recipe")


def generate(
    source: Any,
    model: str | os.PathLike[str] = "fashion-mnist",
    provider: str | Device = "auto",
    *,
    output: str | os.PathLike[str] | None = None,
    suffix: str = ".png",
    cpus: int | None = None,
    low_memory: bool = False,
    max_memory: int | str | None = None,
) -> Any:
    """Make images on the Ray cluster that this process is connected to; return a lazy ``ray.data.Dataset``.

    ``source`` is a Dataset whose columns are options of ``Pipeline.generate``: the result has two more columns,
    ``images``, uint8 (N, H, W, C), and ``recipe``, JSON text. Or it is a Request (``pipeline.request(...)``), with a
    folder ``output`` that every machine of the cluster has: the result has one row a chunk, and while it is read, the
    workers write the files that a run on one machine would write, byte for byte. What the folder has is not made again.

    Every worker holds the model and has ``cpus`` processors, which is also its number of threads; None for as many as a
    run on this machine would use. With provider cuda or tensorrt it has a GPU.

    Raises ConfigError for unknown columns, a request without a folder, and a cluster that is too small for a worker,
    BundleError for a missing model, OutputError for a folder that holds another run.
    """
    bundle = open_bundle(model)
    device = Device.parse(provider) if isinstance(provider, str) else provider
    known = os.fspath(model) in bundled_names()
    workers_model = Model(os.fspath(model) if known else str(bundle.folder.resolve()), device, low_memory, max_memory)
    if not isinstance(source, Request):
        if output is not None:
            raise ConfigError("output is for a Request: write the Dataset that is returned with Ray's own functions")
        return map_rows(source, workers_model, cpus)
    if output is None:
        raise ConfigError("a Request needs output: the folder for its images")
    if suffix not in SUFFIXES:
        raise ConfigError(choose_from("suffix", suffix, SUFFIXES))
    check_request(bundle, source)
    recipe = recipe_of(bundle, source, precision=computes_in(unet_graph(bundle), device))
    folder = ImageFolder(Path(output).resolve(), recipe, suffix)
    missing = [chunk for chunk in source.chunks() if not all(map(folder.holds, chunk))]
    return map_chunks(missing, source, workers_model, Folder(str(folder.folder), recipe, suffix), cpus)


def map_chunks(chunks: Sequence[range], request: Request, model: Model, folder: Folder, cpus: int | None) -> Any:
    """The Dataset of ``chunks``, which workers write to ``folder`` while it is read."""
    prepare()
    import ray.data

    rows = ray.data.from_items(rows_of(chunks), override_num_blocks=min(len(chunks), _MOST_BLOCKS) or 1)
    return _mapped(rows, ChunkWorker, model, cpus, len(chunks), request=request, folder=folder)


def map_rows(rows: Any, model: Model, cpus: int | None) -> Any:
    """The Dataset ``rows``, whose columns are options, with their images and recipes."""
    prepare()
    check_columns(rows.columns() or ())
    return _mapped(rows, RowWorker, model, cpus, None)


def rows_of(chunks: Iterable[range]) -> list[dict[str, int]]:
    """A row for each chunk: the first image, and the one after the last."""
    return [{"start": chunk.start, "stop": chunk.stop} for chunk in chunks]


def check_columns(columns: Iterable[str]) -> None:
    """Raise ConfigError for a column that is no option of ``Pipeline.generate``."""
    known = sorted(set(Options.__annotations__) - set(_ADDED))
    for column in columns:
        if column not in known:
            raise ConfigError(choose_from("column", column, known))


def default_cpus(device: Device) -> int:
    """The number of threads of a run on this machine."""
    return device.threads or describe().chosen or 1


def _mapped(rows: Any, worker: type, model: Model, cpus: int | None, most_workers: int | None, **arguments: Any) -> Any:
    """``rows`` mapped by actors that fill the cluster. Ray Data restarts lost actors and repeats their calls."""
    import ray

    processors = cpus or default_cpus(model.device)
    gpus = int(model.device.provider in _GPU_PROVIDERS)
    nodes: Any = ray.nodes  # it has no annotations
    size = num_workers(nodes(), processors, gpus)
    options: Mapping[str, Any] = {"model": model.with_threads(processors), **arguments}
    in_pool = partial(ray.data.ActorPoolStrategy, max_tasks_in_flight_per_actor=2)
    return rows.map(
        worker,
        fn_constructor_kwargs=options,
        compute=in_pool(size=max(1, min(size, size if most_workers is None else most_workers))),
        num_cpus=processors,
        num_gpus=gpus,
    )
