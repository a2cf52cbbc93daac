"""``python -m bench.speed [overhead] [throughput] [startup] …``: all subjects where none is named."""

from pathlib import Path

import click
from rich.console import Console

from ddim_edge.bundle.read import open_bundle

from .. import tables
from . import Subject, interval, opening, overhead, size, spinning, startup, threads, throughput

MEASUREMENTS = {
    "overhead": overhead.measure,
    "throughput": throughput.measure,
    "startup": startup.measure,
    "size": size.measure,
    "interval": interval.measure,
    "spinning": spinning.measure,
    "threads": threads.measure,
    "opening": opening.measure,
}
PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "torch", "diffusers")


@click.command()
@click.argument("subjects", nargs=-1, type=click.Choice(list(MEASUREMENTS)))
@click.option("--bundle", default="fashion-mnist", help="A bundled model's name or a folder.")
@click.option(
    "--diffusers-folder",
    type=click.Path(path_type=Path, exists=True),
    help="The trained UNet as diffusers saves it; without it, torch runs the same network with random weights.",
)
def main(subjects: tuple[str, ...], bundle: str, diffusers_folder: Path | None) -> None:
    """Measure speed and size, write bench/results/*.json, and render the tables of bench/README.md.

    \b
    python -m bench.speed
    python -m bench.speed overhead startup
    """
    subject = Subject(open_bundle(bundle).folder.resolve(), diffusers_folder and diffusers_folder.resolve())
    with Console(stderr=True).status("") as status:
        for name in subjects or MEASUREMENTS:
            record = MEASUREMENTS[name](subject, lambda text: status.update(text))
            weights = "trained" if diffusers_folder else "random, of the same shape"
            tables.publish(name, {"torch_weights": weights, **record}, PACKAGES)


if __name__ == "__main__":
    main()
