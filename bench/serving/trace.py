"""The requests of the load bench and their times: one seeded trace for every way of serving."""

import random
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

STEPS = (10, 20, 50)
MOST_IMAGES = 4
CLASSES = 10
SEED = 2026


@dataclass(frozen=True)
class Ask:
    """One request; ``at`` is its arrival in units of the mean gap between two."""

    at: float
    steps: int
    labels: tuple[int, ...]
    seed: int

    @property
    def images(self) -> int:
        return len(self.labels)

    @property
    def row_calls(self) -> int:
        """Rows of network calls that it needs: with DDIM one per step and image."""
        return self.steps * self.images

    def body(self) -> dict[str, Any]:
        """The request body, as JSON values."""
        return {
            "labels": list(self.labels),
            "n": self.images,
            "num_inference_steps": self.steps,
            "sampler": "ddim",
            "seed": self.seed,
        }


def trace(count: int, seed: int = SEED) -> list[Ask]:
    """``count`` requests whose arrivals are a Poisson process of rate 1."""
    generator = random.Random(seed)
    times = accumulate(generator.expovariate(1.0) for _ in range(count))
    return [_ask(generator, at) for at in list(times)]


def _ask(generator: random.Random, at: float) -> Ask:
    labels = generator.choices(range(CLASSES), k=generator.randint(1, MOST_IMAGES))
    return Ask(at, generator.choice(STEPS), tuple(labels), generator.randrange(2**31))


def mixed_row_calls() -> float:
    """The mean of ``Ask.row_calls`` over the mix itself, not over one draw of it."""
    return sum(STEPS) / len(STEPS) * (1 + MOST_IMAGES) / 2
