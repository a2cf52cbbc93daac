"""The engine: one loop that steps every running job with one UNet call.

It has no threads, no clock and no I/O, and does not know which sampler a job runs.
"""

from dataclasses import dataclass, field

import numpy as np

from ..arrays import Conditioning, Sample
from ..diffusion.samplers import Query, Sampler
from ..diffusion.samplers.query import Stepped, StepQuery
from ..errors import PredictionError
from ..networks.denoiser import Denoiser, Row


@dataclass(eq=False)
class Job:
    """One image on its way: a sampler and what its questions are conditioned on."""

    sampler: Sampler
    conditioning: Conditioning = field(default_factory=dict)
    unconditional: Conditioning | None = None
    """The null conditioning to guide away from; None, or a scale of 1, costs no extra row."""
    guidance_scale: float = 1.0
    guidance_rescale: float = 0.0
    guided_timesteps: range | None = None
    """Where it is guided; None for everywhere. Elsewhere a question costs one row, not two."""
    calls: int = 0
    """How many predictions it has had."""
    query: Query | None = None
    """What it asks now; None before it was added and after it ended."""
    finished: Sample | None = None
    error: PredictionError | None = None

    def result(self) -> Sample:
        """x_0, float32 of the initial sample's shape; raises the error that ended the job, if one did."""
        if self.error is not None:
            raise self.error
        if self.finished is None:
            raise ValueError("the job has not ended: step the engine until it returns the job")
        return self.finished

    @property
    def rows(self) -> int:
        return 1 if self._active_unconditional() is None else 2

    def _active_unconditional(self) -> Conditioning | None:
        assert self.query is not None
        here = self.guided_timesteps is None or self.query.timestep in self.guided_timesteps
        return self.unconditional if here and self.guidance_scale != 1.0 else None

    def row(self) -> Row:
        assert self.query is not None
        return Row(
            self.query.sample,
            self.query.timestep,
            self.conditioning,
            self._active_unconditional(),
            self.guidance_scale,
            self.guidance_rescale,
            self.query.step if isinstance(self.query, StepQuery) else None,
        )

    def advance(self, answer: Sample | Stepped) -> None:
        """Send the answer to the sampler and take its next query, or its result."""
        self.calls += 1
        try:
            self.query = self.sampler.send(answer)
        except StopIteration as stop:
            self.query, self.finished = None, stop.value


class Engine:
    """Steps jobs together. Jobs may be added and removed between any two steps.

    ``max_rows`` bounds the rows of one UNet call (a guided job takes two); jobs beyond it wait, first come, first
    served.
    """

    def __init__(self, denoiser: Denoiser, max_rows: int = 64) -> None:
        self.denoiser = denoiser
        self.max_rows = max_rows
        self.jobs: list[Job] = []

    def add(self, job: Job) -> None:
        """Let ``job`` join at the next step."""
        job.query = next(job.sampler)
        self.jobs.append(job)

    def remove(self, job: Job) -> None:
        """Take ``job`` out, if it has not ended by itself; it is not asked again."""
        self.jobs = [other for other in self.jobs if other is not job]
        job.sampler.close()

    def step(self) -> list[Job]:
        """One UNet call for as many jobs as fit; returns those that ended, finished or failed."""
        batch, rows = self._select()
        if not batch:
            return []
        for job, answer in zip(batch, self.denoiser.predict_or_step(rows), strict=True):
            self._advance(job, answer)
        ended = [job for job in batch if job.query is None]
        if ended:
            self.jobs = [job for job in self.jobs if job.query is not None]
        return ended

    def _select(self) -> tuple[list[Job], list[Row]]:
        """The longest-waiting jobs that fit into one call: of one shape, at one timestep where it takes only one."""
        batch: list[Job] = []
        rows: list[Row] = []
        shapes: dict[str, tuple[int, ...]] = {}
        taken = 0
        for job in self.jobs:
            row = job.row()
            needed = 1 if row.unconditional is None else 2
            if batch and (taken + needed > self.max_rows or not self._may_join(row, rows[0], shapes)):
                continue
            shapes = shapes or row.shapes
            batch.append(job)
            rows.append(row)
            taken += needed
        return batch, rows

    def _may_join(self, row: Row, first: Row, shapes: dict[str, tuple[int, ...]]) -> bool:
        return (self.denoiser.per_row_timesteps or row.timestep == first.timestep) and row.shapes == shapes

    def _advance(self, job: Job, answer: Sample | Stepped) -> None:
        """What stays on the device is looked at when the job has finished: to look at it is to download it."""
        assert job.query is not None
        timestep = job.query.timestep
        if not isinstance(answer, Stepped) and not np.isfinite(answer).all():
            job.query, job.error = None, self._not_finite(f"at network call {job.calls + 1}, timestep {timestep}")
            return
        job.advance(answer)
        if job.finished is not None:
            self.denoiser.mark_fp16_checked()
        if isinstance(answer, Stepped) and job.finished is not None and not np.isfinite(job.finished).all():
            job.finished, job.error = None, self._not_finite(f"at one of {job.calls} network calls")

    def _not_finite(self, where: str) -> PredictionError:
        return PredictionError(
            f"{self.denoiser.session.name} returned NaN or infinity {where}: its weights or its precision are at fault"
        )
