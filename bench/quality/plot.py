"""``python -m bench.quality.plot``: the samplers' table as docs/quality.png, drawn from the measured file."""

import matplotlib as mpl
from matplotlib import pyplot as plt

from ddim_edge.files import atomic_write

from .. import results
from . import plan

PICTURE = results.ROOT / "docs" / "quality.png"


def draw() -> None:
    """One line a sampler, on logarithmic axes, and the floor that real images have."""
    record = results.read("quality")
    cells = [cell for cell in record["cells"].values() if "variant" in cell]
    most = max(int(cell["num_images"]) for cell in cells)
    mpl.rcParams["svg.hashsalt"] = "ddim-edge"
    figure, axes = plt.subplots(figsize=(8, 5), dpi=110)
    for name in plan.VARIANTS:
        points = sorted((c["calls"], c["distance"]) for c in cells if (c["variant"], c["num_images"]) == (name, most))
        axes.loglog(*zip(*points, strict=True), marker="o", label=name)
    axes.axhline(record["floors"][str(most)], color="grey", linestyle=":", label=f"{most} real images")
    axes.set_xticks(plan.SAMPLER_CALLS, [str(calls) for calls in plan.SAMPLER_CALLS])
    axes.minorticks_off()
    axes.set_xlabel("network calls an image")
    axes.set_ylabel("Fréchet distance (less is better)")
    axes.set_title(f"The bundled model, without guidance, {most} images a point")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    with atomic_write(PICTURE) as file:
        figure.savefig(file, bbox_inches="tight", format="png")


if __name__ == "__main__":
    draw()
