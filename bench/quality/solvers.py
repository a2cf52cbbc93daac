"""``python -m bench.quality.solvers``: the samplers at few network calls, by the judge of ``bench.quality``."""

import click

import ddim_edge

from . import plan
from .record import Judged

SUBJECT = "solvers"
QUICK_IMAGES = 20


@click.command()
@click.option("--num-images", default=500, show_default=True, help="Images in a cell.")
@click.option("--batch-size", default=64, show_default=True)
@click.option("--provider", default="auto", show_default=True)
@click.option("--quick", is_flag=True, help=f"Cells of 4 calls and {QUICK_IMAGES} images; writes nothing.")
def main(num_images: int, batch_size: int, provider: str, quick: bool) -> None:
    """Measure the samplers at 4 to 20 calls, write bench/results/solvers.json and render bench/README.md.

    Cells that were measured before with the same model and classifier are kept: the command resumes.
    """
    judged = Judged(SUBJECT, keep=not quick)
    bench = judged.bench(ddim_edge.load("fashion-mnist", provider), batch_size)
    if quick:
        _try(judged.measure(bench, plan.few_calls(QUICK_IMAGES, calls=plan.FEW_CALLS[:1])), num_images)
        return
    judged.add_references({num_images})
    judged.measure(bench, plan.few_calls(num_images))


def _try(rows: list[dict[str, object]], num_images: int) -> None:
    """Show the cells, and how long all would take at their speed."""
    for row in rows:
        click.echo(f"{row['variant']}: {row['distance']} ({row['label_accuracy']:.0%}), {row['seconds']} s")
    made = sum(float(str(row["rows_per_image"])) * QUICK_IMAGES for row in rows)
    wanted = sum(cell.calls for cell in plan.few_calls(num_images)) * num_images
    minutes = sum(float(str(row["seconds"])) for row in rows) / made * wanted / 60
    click.echo(f"All cells of {num_images} images: {len(plan.few_calls(num_images))}, about {minutes:.0f} minutes")


if __name__ == "__main__":
    main()
