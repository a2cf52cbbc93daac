"""Row guidance: from the predictions of a network call to the guided ones of its rows."""

from collections.abc import Sequence

import numpy as np

from ..arrays import Sample
from ..diffusion.guidance import guide, rescale
from .row import Row


class RowGuidance:
    """The guidance of some rows, of which all, none or a few are guided; the same at all their steps."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._count = len(rows)
        self._guided = [index for index, row in enumerate(rows) if row.unconditional is not None]
        scales = [rows[index].guidance_scale for index in self._guided]
        shares = [rows[index].guidance_rescale for index in self._guided]
        self._scales = np.array(scales, np.float32) if len(set(scales)) > 1 else max(scales, default=1.0)
        self._shares = np.array(shares, np.float32) if any(shares) else None

    def apply(self, outputs: Sample) -> Sample:
        """The rows' predictions, float32 (B, …).

        ``outputs``: those with the conditioning of each row, then those without it of the guided rows. It may be
        written to.
        """
        if not self._guided:
            return outputs
        predictions, unconditional = outputs[: self._count], outputs[self._count :]
        if len(self._guided) == self._count:
            return self._apply(predictions, unconditional)
        predictions[self._guided] = self._apply(predictions[self._guided], unconditional)
        return predictions

    def _apply(self, conditional: Sample, unconditional: Sample) -> Sample:
        guided = guide(conditional, unconditional, self._scales)
        return guided if self._shares is None else rescale(guided, conditional, self._shares)
