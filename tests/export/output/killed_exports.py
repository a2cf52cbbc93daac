"""Run by a test: kills an export at one of its writes, goes on with it, and compares with one that was not killed.

Arguments: the source, a folder to work in, and the distance of the writes to kill at. Prints what differed.
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ddim_edge_export.bundle_component
import ddim_edge_export.folder
from ddim_edge_export import Report, export_folder
from ddim_edge_export.options import Options
from ddim_edge_export.output.record import write_json
from ddim_edge_export.sources.diffusers_folder import open_source
from ddim_edge_export.sources.weights import load_network
from ddim_edge_export.verify.against_torch import Case


def without_tracing(folder: Path, load: Callable[[], Any], config: Any, _stage: Any, options: Options) -> Report:
    """Write what takes the place of a graph."""
    network = load().name
    write_json(folder / "config.json", config)
    (folder / "model.onnx").write_bytes(b"graph" * 100_000)
    return Report(path=folder, network=network, options=options, cases=(Case(batch=1, sizes={}, error=0.0),))


def in_child(work: Callable[[], object]) -> int:
    """Run in a forked process, and return its wait status. No thread of PyTorch runs yet in this one."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def killed_at(write: int, work: Callable[[], object]) -> Callable[[], object]:
    """``work``, killed before a certain call of fsync, rename or replace. Exits with 1 if there are fewer calls."""
    left = iter(range(write))

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    def run() -> None:
        os.fsync, os.rename, os.replace = counted(os.fsync), counted(os.rename), counted(os.replace)
        work()
        os._exit(1)

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def differences(source: str, folder: Path, distance: int) -> Iterator[str]:
    ddim_edge_export.bundle_component.export_into = without_tracing
    ddim_edge_export.folder.check_runs = lambda *_: None  # it writes elsewhere, and opens sessions with threads
    load_network(open_source(Path(source), ["text_encoder"]).components[0])  # imports what takes seconds

    def export(out: Path) -> Callable[[], object]:
        return lambda: export_folder(source, out, components=["unet", "vae_decoder"])

    if in_child(export(folder / "whole")):
        yield "the whole export failed"
    whole = contents(folder / "whole")
    for write in itertools.count(0, distance):
        out = folder / f"killed-{write}"
        if not os.WIFSIGNALED(in_child(killed_at(write, export(out)))):
            break
        if contents(out) != whole and (in_child(export(out)) or contents(out) != whole):
            yield f"killed at write {write}: {sorted(contents(out))}"


if __name__ == "__main__":
    for line in differences(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])):
        print(line)
