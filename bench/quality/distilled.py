"""``python -m bench.quality.distilled``: the distilled model at few calls, beside its teacher, by one classifier."""

import click

import ddim_edge

from . import plan
from .record import Judged

SUBJECT = "distilled"
TEACHER = "distilled_teacher"


@click.command()
@click.option("--num-images", default=2000, show_default=True, help="Images in a cell.")
@click.option("--batch-size", default=64, show_default=True)
@click.option("--provider", default="auto", show_default=True)
@click.option("--bundle", default="fashion-mnist-turbo", show_default=True, help="A bundled model's name or a folder.")
def main(num_images: int, batch_size: int, provider: str, bundle: str) -> None:
    """Measure BUNDLE at 1, 2 and 4 calls, and fashion-mnist beside it; render bench/README.md.

    Cells that were measured before with the same model and classifier are kept: the command resumes.
    """
    sides = (TEACHER, "fashion-mnist", plan.teacher(num_images)), (SUBJECT, bundle, plan.distilled(num_images))
    for subject, model, cells in sides:
        judged = Judged(subject)
        judged.add_references({num_images})
        judged.measure(judged.bench(ddim_edge.load(model, provider), batch_size), cells)


if __name__ == "__main__":
    main()
