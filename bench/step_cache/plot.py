"""``python -m bench.step_cache.plot``: distance over seconds as docs/step-cache.png, from the measured file."""

from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from ddim_edge.files import atomic_write

from .. import results

PICTURE = results.ROOT / "docs" / "step-cache.png"
LABELS = {"fashion-mnist": "Fréchet distance", "emoji": "RMS to the name's own picture"}
HIGHEST = 4
"""Distances above so many times the least are not drawn."""


def draw() -> None:
    """One side a model, a line for each sampler's plain steps, and a mark for each cached run."""
    mpl.rcParams["svg.hashsalt"] = "ddim-edge"
    models = results.read("step_cache")["models"]
    figure, sides = plt.subplots(1, len(models), figsize=(6 * len(models), 5), dpi=110)
    for axes, (name, model) in zip(sides, models.items(), strict=True):
        _draw_model(axes, model["cells"])
        least = min(cell["distance"] for cell in model["cells"])
        axes.set_ylim(0.95 * least, HIGHEST * least)
        axes.set_xlabel("seconds an image")
        axes.set_ylabel(f"{LABELS[name]} (less is better)")
        axes.set_title(f"{name}, {model['images']} images a point")
        axes.grid(alpha=0.3)
    sides[-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    with atomic_write(PICTURE) as file:
        figure.savefig(file, bbox_inches="tight", format="png")


def _draw_model(axes: Any, cells: list[dict[str, Any]]) -> None:
    for sampler in dict.fromkeys(cell["sampler"] for cell in cells):
        plain = [cell for cell in cells if cell["sampler"] == sampler and cell["cache"] is None]
        points = sorted((cell["seconds"], cell["distance"]) for cell in plain)
        axes.loglog(*zip(*points, strict=True), marker="o", label=f"{sampler}, plain")
    for sampler, steps in dict.fromkeys((cell["sampler"], cell["num_steps"]) for cell in cells if cell["cache"]):
        for kind, marker in (("forecast", "x"), ("deep", "+")):
            own = [c for c in cells if (c["sampler"], c["num_steps"]) == (sampler, steps) and c["cache"]]
            points = [(c["seconds"], c["distance"]) for c in own if c["cache"].startswith(kind)]
            axes.loglog(*zip(*points, strict=True), marker, markersize=8, label=f"{sampler}, {steps} steps, {kind}")


if __name__ == "__main__":
    draw()
