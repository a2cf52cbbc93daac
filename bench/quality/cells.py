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
from .plan import AnyCell, rows_per_image

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Bench:
    """What every cell is measured with: the model, the classifier, and the Gaussian of the 10,000 test images."""

    pipeline: Pipeline
    classifier: Classifier
    test: Gaussian
    batch_size: int

    def measure(self, cell: AnyCell, advance: Advance) -> dict[str, Any]:
        """Make the cell's images and judge them; ``advance`` is called with the number of image-steps made."""
        start = time.perf_counter()
        request = self._request(cell)
        features, found = self._judged(request, advance)
        asked = np.array([request.label(index) for index in range(cell.num_images)])
        return {
            **asdict(cell),
            "label_accuracy": round(float((found == asked).mean()), 4),
            "distance": round(frechet_distance(Gaussian.fit(features), self.test), 4),
            "rows_per_image": rows_per_image(request),
            "seconds": round(time.perf_counter() - start, 1),
        }

    def _request(self, cell: AnyCell) -> Request:
        return self.pipeline.request(
            num_images=cell.num_images,
            labels=range(10),
            batch_size=self.batch_size,
            **cell.request(self.pipeline.bundle),
        )

    def _judged(self, request: Request, advance: Advance) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        parts = []
        for progress in self.pipeline.run(request):
            advance(len(progress.indices))
            if progress.images is not None:
                parts.append(judge(self.classifier, to_signal(progress.images[..., 0])))
        features, labels = zip(*parts, strict=True)
        return np.concatenate(features), np.concatenate(labels)
