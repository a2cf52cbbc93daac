"""``python -m bench.quality.turbo``: the distilled model at few calls, beside its teacher, by one judge."""

import click

import ddim_edge

from . import plan
from .record import Judged

SUBJECT = "turbo"
TEACHER = "turbo_teacher"


@click.command()
@click.option("--num-images", default=1000, show_default=True, help="Images in a cell.")
@click.option("--batch-size", default=64, show_default=True)
@click.option("--provider", default="auto", show_default=True)
@click.option("--bundle", default="fashion-mnist-turbo", show_default=True, help="A bundled model's name or a folder.")
def main(num_images: int, batch_size: int, provider: str, bundle: str) -> None:
    """Measure BUNDLE at 1 to 8 calls, and fashion-mnist beside it from the same seeds; render bench/README.md.

    Cells that were measured before with the same model are kept: the command resumes.
    """
    teacher, student = Judged(TEACHER), Judged(SUBJECT)
    teacher.add_references({num_images})
    teacher.measure(teacher.bench(ddim_edge.load("fashion-mnist", provider), batch_size), plan.teacher(num_images))
    student.measure(student.bench(ddim_edge.load(bundle, provider), batch_size), plan.turbo(num_images))


if __name__ == "__main__":
    main()
