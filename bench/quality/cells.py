"""One cell of the quality table: images of one setting, judged."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddim_edge import Pipeline, Request

from .classifier import Classifier, judge, to_signal
from .frechet import Gaussian, frechet_distance
from .plan import Cell

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Bench:
    """What every cell is measured with: the model, the judge, and the 10,000 test images as the judge sees them."""

    pipeline: Pipeline
    classifier: Classifier
    test: Gaussian
    batch_size: int

    def measure(self, cell: Cell, advance: Advance) -> dict[str, Any]:
        """Make the cell's images and judge them; ``advance`` is told of every image-step that was made."""
        start = time.perf_counter()
        request = self._request(cell)
        features, found = self._judged(request, advance)
        asked = np.array([request.label(index) for index in range(cell.num_images)])
        return {
            **asdict(cell),
            "label_accuracy": round(float((found == asked).mean()), 4),
            "distance": round(frechet_distance(Gaussian.fit(features), self.test), 4),
            "seconds": round(time.perf_counter() - start, 1),
        }

    def _request(self, cell: Cell) -> Request:
        return self.pipeline.request(
            num_images=cell.num_images,
            labels=range(10),
            num_steps=cell.num_steps,
            eta=cell.eta,
            guidance_scale=cell.guidance_scale,
            batch_size=self.batch_size,
        )

    def _judged(self, request: Request, advance: Advance) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        parts = []
        for progress in self.pipeline.run(request):
            advance(len(progress.indices))
            if progress.images is not None:
                parts.append(judge(self.classifier, to_signal(progress.images[..., 0])))
        features, labels = zip(*parts, strict=True)
        return np.concatenate(features), np.concatenate(labels)
