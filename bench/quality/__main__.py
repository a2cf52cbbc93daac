"""``python -m bench.quality``: the share of images with the right label, and their Fréchet distance to real ones."""

import click

import ddim_edge

from . import plan
from .record import Judged

SUBJECT = "quality"


@click.command()
@click.option("--bundle", default="fashion-mnist", show_default=True, help="A bundled model's name or a folder.")
@click.option("--num-images", default=2000, show_default=True, help="Images in each of the two cells that matter.")
@click.option("--scan-images", default=500, show_default=True, help="Images in a cell of the scan over guidance.")
@click.option("--table-images", default=1000, show_default=True, help="Images in a cell of the table up to 50 steps.")
@click.option("--sampler-images", default=1000, show_default=True, help="Images in a cell of the samplers' table.")
@click.option("--batch-size", default=64, show_default=True)
@click.option("--provider", default="auto", show_default=True)
@click.option("--references-only", is_flag=True, help="Measure the real images alone; generate none.")
def main(
    bundle: str,
    num_images: int,
    scan_images: int,
    table_images: int,
    sampler_images: int,
    batch_size: int,
    provider: str,
    references_only: bool,
) -> None:
    """Measure the quality of a Fashion-MNIST model, write bench/results/quality.json and render bench/README.md.

    Cells that were measured before with the same model and classifier are kept: the command resumes.
    """
    judged = Judged(SUBJECT)
    judged.add_references({num_images, scan_images, table_images, sampler_images})
    if references_only:
        return
    pipeline = ddim_edge.load(bundle, provider)
    bench = judged.bench(pipeline, batch_size)
    best_scale = plan.best_scale(judged.measure(bench, plan.scan(scan_images)))
    judged.measure(bench, plan.headline(best_scale, num_images))
    judged.measure(bench, plan.table(table_images))
    judged.measure(bench, plan.guided(pipeline.bundle.num_steps, sampler_images))
    judged.measure(bench, plan.samplers(sampler_images))


if __name__ == "__main__":
    main()
