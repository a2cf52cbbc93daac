"""``python -m bench.precision``: what bfloat16 costs, on the two trained models of this project.

Both sides make the same images from the same seeds: ONNX Runtime on the CPU in float32, and OpenVINO's own runtime in
bfloat16. The images are compared with each other, and each side with what it should show: the bundled model's
with real images, by the classifier of ``bench.quality``; the emoji model's with its training pictures, as in
``bench.emoji``.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

import ddim_edge
from ddim_edge.files import atomic_write
from ddim_edge.generation.engine import Engine, Job
from ddim_edge.generation.jobs import job_of
from models.training.emoji.data import DEFAULT_FONT, Emoji
from models.training.emoji.data import load as load_emoji
from models.training.fashion_mnist.data import load as load_fashion

from . import emoji, results, tables
from .quality.classifier import JUDGE, judge, load_or_train, to_signal
from .quality.frechet import Gaussian, frechet_distance

SUBJECT = "precision"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "openvino", "torch")
REFERENCE = "cpu, float32"
SIDES = (REFERENCE, "openvino, bfloat16")
"""Those that make all images."""
DEVICES = {
    REFERENCE: ddim_edge.Device("cpu"),
    "openvino, float32": ddim_edge.Device("openvino"),
    "openvino, bfloat16": ddim_edge.Device("openvino", precision="bfloat16"),
}
"""Those that are compared step by step."""
STEPS = 20
BATCH = 32
TRAJECTORIES = 16
CACHE = results.CACHE / SUBJECT
console = Console(stderr=True)

Pixels = NDArray[np.uint8]
Record = results.Record


@click.command()
@click.option("--num-images", default=2000, show_default=True, help="Images of the bundled model.")
@click.option("--num-emoji", type=int, help="Images of the emoji model.  [default: one for each training name]")
@click.option("--emoji-model", default="models/emoji", show_default=True, help="The emoji model's folder.")
@click.option("--font", type=click.Path(path_type=Path), default=DEFAULT_FONT, show_default=True)
def main(num_images: int, num_emoji: int | None, emoji_model: str, font: Path) -> None:
    """Measure what a precision costs, write bench/results/precision.json and render bench/README.md.

    Images that were made before are kept in bench/cache: the command resumes.
    """
    drawings = load_emoji(font)
    options: dict[str, dict[str, Any]] = {
        emoji_model: {"prompt": drawings.names[:num_emoji], "guidance_scale": 3.0},
        "fashion-mnist": {"num_images": num_images, "labels": range(10), "guidance_scale": 1.0},
    }
    record: Record = {"steps": STEPS, "trajectories": TRAJECTORIES, "models": {}}
    for model, judged in zip(options, (lambda made: _emoji(made, drawings), _fashion), strict=True):
        made = {side: _images(model, side, options[model]) for side in SIDES}
        record["models"][Path(model).name] = {
            "num_images": len(made[REFERENCE]),
            "guidance_scale": options[model]["guidance_scale"],
            "sides": _sides(made, judged),
            "steps": {side: _steps(model, side, options[model]) for side in DEVICES if side != REFERENCE},
        }
        tables.publish(SUBJECT, record, PACKAGES)


def _pipeline(model: str, side: str) -> ddim_edge.Pipeline:
    return ddim_edge.load(model, DEVICES[side])


def _images(model: str, side: str, options: dict[str, Any]) -> Pixels:
    """The images of one side, uint8 (N, H, W, C); each batch is kept in a file of its own."""
    pipeline = _pipeline(model, side)
    request = pipeline.request(num_steps=STEPS, batch_size=BATCH, **options)
    parts = []
    for indices in track(request.chunks(), f"{Path(model).name} on {side}", console=console):
        path = CACHE / f"{pipeline.bundle.sha256[:16]} {side} {indices.start}-{indices.stop}.npy"
        if not path.exists():
            images = [end.images for end in pipeline.run(request, [indices]) if end.images is not None]
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as file:
                np.save(file, images[0])
        parts.append(np.load(path))
    return np.concatenate(parts)


def _sides(made: dict[str, Pixels], judged: Callable[[Pixels], Record]) -> dict[str, Record]:
    """Each side judged by what it should show, and compared with the reference image by image."""
    return {side: {**judged(images), **_compared(images, made[REFERENCE])} for side, images in made.items()}


def _compared(images: Pixels, reference: Pixels) -> Record:
    """PSNR of each image in dB (images that are equal have none), pixels that are equal, the largest difference."""
    difference = images.astype(np.int64) - reference
    squares = (difference**2).reshape(len(images), -1).mean(axis=1)
    decibels = 10 * np.log10(255**2 / squares[squares > 0])
    return {
        "equal_images": float((squares == 0).mean()),
        "psnr": {name: float(np.percentile(decibels, share)) for name, share in _PERCENTILES}
        if len(decibels)
        else None,
        "equal_pixels": float((difference == 0).mean()),
        "largest": int(abs(difference).max()),
    }


_PERCENTILES = (("lowest", 0), ("low", 5), ("median", 50))


def _fashion(images: Pixels) -> Record:
    """The share of images with the label that was asked for, and their Fréchet distance to the test images."""
    classifier = load_or_train(JUDGE)
    real, _ = load_fashion("t10k")
    features, found = judge(classifier, to_signal(images[..., 0]))
    distance = frechet_distance(Gaussian.fit(features), Gaussian.fit(judge(classifier, to_signal(real))[0]))
    asked = np.arange(len(images)) % 10
    return {"label_accuracy": float((found == asked).mean()), "distance": distance}


def _emoji(images: Pixels, drawings: Emoji) -> Record:
    """The share of images whose own training picture is the nearest, and among the five nearest."""
    places = emoji.ranks(images, drawings.images)
    return {"top_1": float((places < 1).mean()), "top_5": float((places < 5).mean())}


def _steps(model: str, side: str, options: dict[str, Any]) -> list[Record]:
    """By step, the relative root mean square of the difference from the reference, over the first images.

    Of the prediction, both sides fed the reference's sample; and of the sample, each side on its own trajectory.
    """
    reference, other = _pipeline(model, REFERENCE), _pipeline(model, side)
    jobs = {pipeline: _jobs(pipeline, options) for pipeline in (reference, other)}
    ends = {pipeline: _run(pipeline, jobs[pipeline]) for pipeline in jobs}
    rows = []
    for step, _ in enumerate(zip(*ends.values(), strict=True)):
        fed = [job.row() for job in jobs[reference]]
        predictions = [_predicted(pipeline, fed) for pipeline in (other, reference)]
        samples = [np.concatenate([job.row().sample for job in jobs[pipeline]]) for pipeline in (other, reference)]
        rows.append({"step": step, "prediction": _relative(*predictions), "sample": _relative(*samples)})
    samples = [np.concatenate([job.result() for job in jobs[pipeline]]) for pipeline in (other, reference)]
    return [*rows, {"step": len(rows), "prediction": None, "sample": _relative(*samples)}]


def _jobs(pipeline: ddim_edge.Pipeline, options: dict[str, Any]) -> list[Job]:
    request = pipeline.request(num_steps=STEPS, **options)
    return [job_of(pipeline.bundle, request, index, pipeline.components) for index in range(TRAJECTORIES)]


def _run(pipeline: ddim_edge.Pipeline, jobs: Sequence[Job]) -> Iterator[int]:
    """Run the jobs; yields before every step."""
    engine = Engine(pipeline.denoiser, max_rows=2 * len(jobs))
    for job in jobs:
        engine.add(job)
    while engine.jobs:
        yield len(engine.jobs)
        engine.step()


def _predicted(pipeline: ddim_edge.Pipeline, rows: Any) -> NDArray[np.float32]:
    return np.array(pipeline.denoiser.predict(rows), np.float32)


def _relative(ours: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    wanted = reference.astype(np.float64)
    return float(np.sqrt(((ours - wanted) ** 2).mean() / (wanted**2).mean()))


if __name__ == "__main__":
    main()
