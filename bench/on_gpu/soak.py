"""Worker process: many generations of the bundled model, measuring memory: ``python -m bench.on_gpu.soak SETTINGS``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ddim_edge
from ddim_edge.benchmark.plan import Configuration
from ddim_edge.benchmark.rounds import Cell, Notify
from ddim_edge.runtime.hardware.nvidia import process_memory
from ddim_edge.runtime.workers.child import Record, Respond, serve

MODEL, NUM_STEPS = "fashion-mnist", 8
BLOCKS = 20


def open_pipeline(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Open the model; every request makes a number of generations and returns the memory."""
    pipeline = ddim_edge.load(MODEL, settings["provider"])

    def answer(question: Mapping[str, Any]) -> Record:
        for seed in range(question["count"]):
            pipeline.generate(num_images=1, labels=[seed % 10], num_steps=NUM_STEPS, seed=seed, sampler="ddim")
        return {"resident": _resident(), "gpu": process_memory(0)}

    return {"provider": pipeline.provider}, answer


def _resident() -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def measure_soak(provider: str, count: int, notify: Notify) -> Record:
    """Bytes of the process and of the GPU after each twentieth of the generations, and their growth after the first."""
    settings = {"provider": provider}
    cell = Cell(
        Configuration(
            bundle=Path(MODEL), batch=1, side="soak", provider=provider, module="bench.on_gpu.soak", settings=settings
        )
    )
    blocks = list[Record]()
    try:
        cell.start()
        while cell.is_running and len(blocks) < BLOCKS:
            notify(f"generations: {len(blocks) * count // BLOCKS} of {count}")
            blocks += filter(None, [cell.ask(count=count // BLOCKS)])
    finally:
        cell.stop()
    series = {name: [block[name] for block in blocks] for name in ("resident", "gpu")}
    growth = {f"{name}_growth": _growth(values) for name, values in series.items()}
    return {"generations": len(blocks) * (count // BLOCKS), "reason": cell.reason, **series, **growth}


def _growth(values: list[int | None]) -> float | None:
    """From the end of the first block to the end of the last, as a share."""
    first, last = (values[0], values[-1]) if values else (None, None)
    return None if not first or last is None else last / first - 1


if __name__ == "__main__":
    serve(open_pipeline)
