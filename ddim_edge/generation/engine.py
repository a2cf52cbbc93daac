"""Engine: one loop that steps all running jobs, with one UNet call a step, and one of its shallow graph if some use it.

It has no threads, no clock and no I/O, and does not depend on which sampler a job runs.
"""

from dataclasses import dataclass, field

import numpy as np

from ..arrays import Conditioning, Sample
from ..diffusion.guidance import TimeInterval
from ..diffusion.samplers import Query, Sampler
from ..diffusion.samplers.query import Guided, Stepped, StepQuery
from ..diffusion.step_cache import CallPlan
from ..errors import PredictionError
from ..lora.bank import Loras
from ..networks.denoiser import Answer, Denoiser, Kept
from ..networks.features import Features
from ..networks.row import Row, RowCount, Weighted


@dataclass(eq=False)
class Job:
    """One image in progress: its sampler, and the conditioning of its predictions."""

    sampler: Sampler
    conditioning: Conditioning = field(default_factory=dict)
    unconditional: Conditioning | None = None
    """The conditioning of the null class or empty prompt, for guidance. None, or a scale of 1, costs no second row."""
    guidance_scale: float = 1.0
    guidance_rescale: float = 0.0
    guided_timesteps: TimeInterval | None = None
    """The timesteps that are guided; None for all. At the others a query costs one row, not two."""
    loras: Loras = ()
    """The adapters of its predictions."""
    keeps_variance: bool = False
    """Whether its sampler is also sent what the network predicts of the variance."""
    keeps_unconditional: bool = False
    """Whether its sampler is also sent the unconditional prediction, which then is made at a scale of 1, too."""
    plan: CallPlan | None = None
    """Which calls run the whole UNet, where the others run its shallow graph; None if all do. Steps are not fused."""
    others: tuple[Weighted, ...] = ()
    """Further predictions in the sum of guidance, as in ``Row``."""
    features: Features | None = None
    """What the last whole call kept for the shallow ones; None without a plan."""
    calls: int = 0
    """Number of predictions received so far."""
    shallow_calls: int = 0
    """How many of them the shallow graph made."""
    query: Query | None = None
    """The current query; None before the job was added and after it ended."""
    finished: Sample | None = None
    error: Exception | None = None

    @property
    def whole_calls(self) -> int:
        """How many of ``calls`` ran the whole UNet."""
        return self.calls - self.shallow_calls

    def result(self) -> Sample:
        """x_0, float32, of the initial sample's shape. Raises the error that ended the job, if one did."""
        if self.error is not None:
            raise self.error
        if self.finished is None:
            raise ValueError("the job has not ended: step the engine until it returns the job")
        return self.finished

    @property
    def most_rows(self) -> int:
        """The most rows of its calls."""
        return 1 if self.unconditional is None else 2 + len(self.others)

    @property
    def rows(self) -> int:
        """The rows of its next call."""
        return 1 if self._active_unconditional() is None else self.most_rows

    def _active_unconditional(self) -> Conditioning | None:
        assert self.query is not None
        here = self.guided_timesteps is None or self.query.timestep in self.guided_timesteps
        changes = self.keeps_unconditional or self.guidance_scale != 1.0 or bool(self.others)
        return self.unconditional if here and changes else None

    def row(self) -> Row:
        """What the denoiser is asked next."""
        assert self.query is not None
        unconditional = self._active_unconditional()
        row = Row(
            self.query.sample,
            self.query.timestep,
            self.conditioning,
            unconditional,
            self.guidance_scale,
            self.guidance_rescale,
            self.query.step if self.plan is None and isinstance(self.query, StepQuery) else None,
            loras=self.loras,
            keeps_variance=self.keeps_variance,
            keeps_unconditional=self.keeps_unconditional,
            others=self.others if unconditional is not None else (),
        )
        if self.plan is None:
            return row
        features = self._usable_features(self.plan, len(row.conditionings))
        return row._replace(features=features, keeps_features=features is None)

    def _usable_features(self, plan: CallPlan, predictions: int) -> Features | None:
        """The features that the next call is predicted from; None for a whole one.

        Where guidance begins, there are none of the unconditional prediction.
        """
        if self.features is None or plan.is_whole(self.calls):
            return None
        return None if predictions > len(self.features) else self.features

    def advance(self, answer: Answer) -> None:
        """Send a prediction, or a step that was taken, to the sampler; store its next query, or its result."""
        output = answer if self.plan is None else self._kept(self.plan, answer)
        self.calls += 1
        try:
            self.query = self.sampler.send(output)
        except StopIteration as stop:
            self._end(stop.value)

    def _kept(self, plan: CallPlan, answer: Answer) -> Sample | Guided | Stepped:
        """The output of ``answer``, after the features of a whole call are kept."""
        if isinstance(answer, Kept):
            assert not isinstance(answer.prediction, Guided)  # such a request has no plan
            self.features = answer.features
            plan.observe(self.calls, answer.prediction)
            return answer.prediction
        self.shallow_calls += 1
        return answer

    def fail(self, error: Exception) -> None:
        """End it with an error."""
        self.error = error
        self._end(None)

    def _end(self, finished: Sample | None) -> None:
        self.query = self.features = None
        self.finished = finished


class Engine:
    """Steps jobs together. Jobs may be added and removed between any two steps.

    ``max_rows``: the most rows in one network call (a guided job takes two). Jobs that do not fit wait, first come,
    first served. ``last_rows``: the rows of the calls of the last step.
    """

    def __init__(self, denoiser: Denoiser, max_rows: int = 64) -> None:
        self.denoiser = denoiser
        self.max_rows = max_rows
        self.jobs: list[Job] = []
        self.last_rows = RowCount(0, 0)

    def add(self, job: Job) -> None:
        """Add ``job``; it joins at the next step. BundleError where it has a plan, and there is no shallow graph."""
        if job.plan is not None:
            self.denoiser.prepare_shallow()
        job.query = next(job.sampler)
        self.jobs.append(job)

    def remove(self, job: Job) -> None:
        """Remove ``job``, if it has not ended, and close its sampler."""
        self.jobs = [other for other in self.jobs if other is not job]
        job.sampler.close()

    def step(self) -> list[Job]:
        """Make one call of each kind for as many jobs as fit; return those that ended, finished or failed."""
        batch, rows = self._select()
        if not batch:
            return []
        for job, row in zip(batch, rows, strict=True):
            if row.features is None:
                job.features = None  # their memory is free for the call that makes new ones
        for job, answer in zip(batch, self.denoiser.predict_or_step(rows), strict=True):
            self._advance(job, answer)
        ended = [job for job in batch if job.query is None]
        if ended:
            self.jobs = [job for job in self.jobs if job.query is not None]
        return ended

    def _select(self) -> tuple[list[Job], list[Row]]:
        """The longest-waiting jobs that fit into one call of each kind: of one shape, and of one scalar timestep."""
        batch: list[Job] = []
        rows: list[Row] = []
        first: list[Row | None] = [None, None]
        taken = [0, 0]
        for job in self.jobs:
            row = job.row()
            kind, needed = row.features is not None, 1 if row.unconditional is None else 2 + len(row.others)
            before = first[kind]
            if before is None:
                first[kind] = row
            elif taken[kind] + needed > self.max_rows or not self._may_join(row, before):
                continue
            batch.append(job)
            rows.append(row)
            taken[kind] += needed
        self.last_rows = RowCount(*taken)
        return batch, rows

    def _may_join(self, row: Row, first: Row) -> bool:
        return (self.denoiser.per_row_timesteps or row.timestep == first.timestep) and row.has_shapes_of(first)

    def _advance(self, job: Job, answer: Answer) -> None:
        """Advance ``job``, or end it at NaN or infinity, in a prediction or in the finished sample, or at an error.

        The other jobs go on. Samples on the device are checked when the job has finished: a check at every step would
        download them.
        """
        assert job.query is not None
        timestep, stepped = job.query.timestep, isinstance(answer, Stepped)
        if not stepped and not np.isfinite(answer.prediction if isinstance(answer, Kept) else answer).all():
            job.fail(self._not_finite(f"at network call {job.calls + 1}, timestep {timestep}"))
            return
        try:
            job.advance(answer)
        except Exception as error:  # of its sampler, of whatever kind
            job.fail(error)
        if job.finished is None:
            return
        self.denoiser.check_files()
        self.denoiser.mark_fp16_checked()
        if not np.isfinite(job.finished).all():
            where = f"at one of {job.calls} network calls"
            job.fail(self._not_finite(where) if stepped else _overflow(job.calls))

    def _not_finite(self, where: str) -> PredictionError:
        self.denoiser.check_files()
        return PredictionError(
            f"{self.denoiser.session.name} returned NaN or infinity {where}: check the weights; if it is fp16, use fp32"
        )


def _overflow(calls: int) -> PredictionError:
    """The error for a sample that is not finite, although every prediction was."""
    return PredictionError(
        f"the sample has NaN or infinity after {calls} network calls, although every prediction is finite: the "
        "sampler's options do not fit the model. Use its own scheduler, or more usual noise levels"
    )
