"""``ddim-edge run``, as a user runs it; its engine's steps are noted."""

from typing import Any

import numpy as np

from ddim_edge.cli import main
from ddim_edge.generation.engine import Engine

from .noted import Notes


def run(notes: Notes) -> None:
    """Make the image by the command line."""
    step, ended = Engine.step, list[Any]()

    def noted(engine: Engine) -> Any:
        notes.begin()
        jobs = step(engine)
        notes.step()
        ended.extend(jobs)
        return jobs

    Engine.step = noted  # type: ignore[method-assign, assignment]
    try:
        main(_arguments(notes))
    finally:
        notes.write(np.concatenate([job.result() for job in ended]) if ended else None)


def _arguments(notes: Notes) -> list[str]:
    asked = notes.settings
    words = [] if asked["prompt"] is None else ["--prompt", asked["prompt"]]
    shared = ["--num-images", "1", "--steps", str(asked["steps"]), "--sampler", asked["sampler"]]
    guidance = ["--guidance-scale", str(asked["guidance"])] if words else []
    output = ["--seed", str(asked["seed"]), "--output", str(notes.out / "image.png"), "--force"]
    return ["run", str(notes.folder), *words, *shared, *guidance, *output, *asked["options"]]


if __name__ == "__main__":
    run(Notes())
