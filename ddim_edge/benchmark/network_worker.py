"""Worker process that times one network on one device: ``python -m ddim_edge.benchmark.network_worker SETTINGS``."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Array
from ..bundle.read import open_bundle
from ..networks.components import open_unet
from ..runtime.compiled.machine import Machine
from ..runtime.compiled.measured import Measured, device_of
from ..runtime.providers.device import Device
from ..runtime.sessions.pool import Sessions
from ..runtime.sessions.session import Session
from ..runtime.workers.child import Record, Respond, end_with_parent, serve

Feeds = dict[str, Array]

_TIMESTEP = 500


def open_network(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Open the network that runs at every step, and call it once with each kind of inputs.

    ``settings``: the ``bundle``; ``device``, the fields of a ``Measured``; ``calls``, the shapes of the inputs by kind;
    ``reference``, a file of the prediction to compare with, which is written where it is not there. The facts are the
    ``difference`` from it, root mean square, relative, and the ``machine``.
    """
    end_with_parent()
    bundle, row = open_bundle(settings["bundle"]), Measured(**settings["device"])
    device = device_of(row, Device(build=False))
    session = open_unet(bundle, Sessions(device))
    kinds = {kind: _feeds(session, shapes) for kind, shapes in settings["calls"].items()}
    predictions = [next(iter(session.run(feeds).values())) for feeds in kinds.values()]
    facts = {
        "difference": _difference(predictions[-1], Path(settings["reference"])),
        "machine": Machine.of(row.provider, row.which).to_json(),
    }
    return facts, partial(_respond, session, kinds)


def _feeds(session: Session, shapes: Mapping[str, list[int]]) -> Feeds:
    """Standard normal numbers, zeros for whole ones, and a timestep in the middle; the same for all devices."""
    rng, feeds = np.random.default_rng(0), Feeds()
    for name, info in session.inputs.items():
        shape = tuple(map(int, shapes.get(name, info.shape)))
        is_real = np.issubdtype(info.dtype, np.floating)
        feeds[name] = (rng.standard_normal(shape) if is_real else np.zeros(shape)).astype(info.dtype)
    feeds["timestep"].fill(_TIMESTEP)
    return feeds


def _difference(prediction: Array, reference: Path) -> float | None:
    if not reference.exists():
        np.save(reference, prediction)
        return None
    wanted = np.load(reference).astype(np.float64)
    return float(np.sqrt(np.mean((prediction - wanted) ** 2) / np.mean(wanted**2)))


def _respond(session: Session, kinds: Mapping[str, Feeds], request: Mapping[str, Any]) -> Record:
    """Call the network with the inputs of ``kind`` for ``seconds``, at least once; the seconds of each call."""
    feeds, taken = kinds[request["kind"]], list[float]()
    end = time.perf_counter() + request["seconds"]
    while not taken or time.perf_counter() < end:
        start = time.perf_counter()
        session.run(feeds)
        taken.append(time.perf_counter() - start)
    return {"taken": taken}


if __name__ == "__main__":
    serve(open_network)
