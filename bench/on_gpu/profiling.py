"""Worker process: ONNX Runtime's profile of a network call: ``python -m bench.on_gpu.profiling SETTINGS``."""

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ddim_edge.benchmark.plan import Configuration
from ddim_edge.benchmark.rounds import Cell
from ddim_edge.runtime.providers.device import Device
from ddim_edge.runtime.providers.onnxruntime_module import runtime
from ddim_edge.runtime.providers.options import defaults
from ddim_edge.runtime.sessions.opening import prepare
from ddim_edge.runtime.workers.child import Record, Respond, serve

from .plan import Group

_RUNS, _TOP = 10, 15


def open_profile(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Profile some calls of a graph; any request returns the summary."""
    (provider,) = Device.parse(settings["provider"]).candidates()
    prepare(provider)
    options = runtime().SessionOptions()
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        own = [(provider.ort_name, defaults(provider.name, each_step=True))]
        session = runtime().InferenceSession(settings["graph"], options, providers=own)
        feeds = _feeds(session, settings["shapes"])
        for _ in range(_RUNS):
            session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text())
    return {"provider": provider.name}, lambda _question: summary(events)


def _feeds(session: Any, shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    random, kinds = np.random.default_rng(0), {"tensor(float)": np.float32, "tensor(float16)": np.float16}
    return {
        given.name: random.standard_normal(shapes[given.name]).astype(kinds.get(given.type, np.int64))
        for given in session.get_inputs()
    }


def summary(events: Sequence[Mapping[str, Any]]) -> Record:
    """Shares of the time by kind of node, and by GPU kernel where the build reports them; the largest first.

    Only the later half of the runs counts: the first ones tune and allocate.
    """
    middle = sorted(event["ts"] for event in events if event.get("name") == "model_run")[_RUNS // 2]
    late = [event for event in events if event.get("ts", 0) >= middle]
    nodes, kernels = Counter[str](), Counter[str]()
    for event in late:
        arguments = event.get("args", {})
        if event.get("cat") == "Node" and str(event["name"]).endswith("_kernel_time"):
            nodes[f"{arguments['op_name']} on {arguments['provider'].removesuffix('ExecutionProvider')}"] += event[
                "dur"
            ]
        if event.get("cat") == "Kernel":
            kernels[str(event["name"])] += event["dur"]
    runs = [event["dur"] for event in late if event.get("name") == "model_run"]
    return {"call_seconds": float(np.median(runs)) / 1e6, "nodes": _shares(nodes), "kernels": _shares(kernels)}


def _shares(times: Counter[str]) -> dict[str, float]:
    total = sum(times.values())
    return {name: taken / total for name, taken in times.most_common(_TOP)}


def measure_profile(group: Group, bundle: Path, provider: str) -> Record:
    """The profile of a group's plain graph."""
    graph = bundle / "unet" / "model.onnx"
    settings = {"graph": str(graph), "shapes": group.input_shapes(), "provider": provider}
    cell = Cell(
        Configuration(
            bundle=bundle,
            batch=group.batch,
            side="profile",
            provider=provider,
            module="bench.on_gpu.profiling",
            settings=settings,
        )
    )
    try:
        cell.start()
        return cell.ask(profile=True) if cell.is_running else {"reason": cell.reason}
    finally:
        cell.stop()


if __name__ == "__main__":
    serve(open_profile)
