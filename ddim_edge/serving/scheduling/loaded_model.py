"""A model in memory: what makes the images of its requests, and how it is loaded."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ...arrays import Pixels
from ...bundle.bundle import Bundle
from ...bundle.policy_config import PolicyConfig
from ...errors import BundleError
from ...generation.engine import Engine, Job
from ...generation.jobs import job_of
from ...generation.memory.features import features_row
from ...generation.pipeline import Pipeline
from ...generation.requests.step_cache import image_calls
from ...generation.warmup import default_requests, warm_up
from ...networks.components import Components
from ...policy.network import PolicyNetwork
from ...policy.policy import Policy
from ...policy.step_choice import StepChoice
from ...runtime.hardware.memory import private_bytes
from ...runtime.providers.device import Device
from .call_times import CallTimes
from .memory_limits import MemoryLimits
from .row_limit import RowLimit
from .submission import ImageDone, Maker, Submission

OnCall = Callable[[str, int, float, bool], None]
"""Called after each network call: the model's name, the call's rows, its seconds, whether of the shallow graph."""
OnWarmUp = Callable[[str], None]


@dataclass(eq=False)
class LoadedModel:
    """A model in memory, and the requests that run on it, oldest first."""

    bundle: Bundle
    engine: Engine
    components: Components
    limit: RowLimit
    provider: str
    precision: str
    """What it computes in."""
    policy: PolicyNetwork | None = None
    """The networks of a robot policy; None for other models."""
    call_times: CallTimes = field(default_factory=CallTimes)
    running: list[Submission] = field(default_factory=list)

    @property
    def most_rows(self) -> int:
        """The most rows of the next network call.

        Where several clients share the model, those beyond one image of each client must pay: otherwise they only make
        the call longer, and one client would slow the others down by the number of its images.
        """
        clients = {each.client: each.rows_per_image for each in self.running}
        if len(clients) < 2:
            return self.limit.rows
        return self.call_times.rows_that_pay(min(sum(clients.values()), self.limit.rows), self.limit.rows)

    @property
    def most_rows_per_call(self) -> int | None:
        """The most rows of a call that keep the limit of memory for every running request; None for no limit."""
        limits = (each.request.rows_per_call for each in self.running)
        return min((limit for limit in limits if limit is not None), default=None)

    def has_room_for(self, submission: Submission) -> bool:
        """Whether every running request, and ``submission``, would get one of its images into every network call.

        For a client's first request it is enough that one request of each client does.
        """
        counted = self.running
        if not self.runs_client_of(submission):
            counted = list({other.client: other for other in reversed(self.running)}.values())
        taken = sum(other.rows_per_image for other in counted)
        return not self.running or taken + submission.rows_per_image <= self.limit.rows

    @property
    def work_left(self) -> float:
        """The work of its running requests, in rows."""
        return sum(each.rows_of_each_kind_left.work for each in self.running)

    @property
    def maker(self) -> Maker:
        """What it makes images with."""
        return Maker(self.bundle.sha256, self.provider, self.precision)

    def jobs(self, submission: Submission) -> list[Job]:
        """The jobs of a request, one for each image, or for each robot. Raises what their networks raise."""
        request = submission.request
        if self.policy is not None and submission.decisions is not None:
            return submission.decisions.jobs(self.policy, request.sampler, request.num_steps)
        return [job_of(self.bundle, request, index, self.components) for index in range(request.num_images)]

    def finished(self, submission: Submission, index: int, job: Job) -> ImageDone:
        """What a job has made. Raises what the decoder and the safety checker raise, and ActionError."""
        request, result = submission.request, np.asarray(job.result())
        calls = image_calls(request, job.whole_calls)
        if submission.decisions is not None:
            return ImageDone(index, submission.decisions.actions(result, index), calls)
        samples, images, is_safe = self.components.finished(result, tiles=request.vae_tiling, tile=request.vae_tile)
        made = samples if images is None else images
        return ImageDone(index, made[0], calls, None if is_safe is None else is_safe[0])

    def estimate(self, submission: Submission, job: Job) -> Pixels | None:
        """The current estimate of a job's image, uint8 (H, W, C); None before its first prediction."""
        request, query = submission.request, job.query
        if query is None or query.denoised is None:
            return None
        image: Pixels = self.components.to_images(query.denoised, tiles=request.vae_tiling, tile=request.vae_tile)[0]
        return image

    @property
    def is_overwritten(self) -> bool:
        """Whether it is idle, and has to be loaded again because its files have other contents now."""
        try:
            self.bundle.files.check_not_overwritten()
        except BundleError:
            return not self.running
        return False

    def runs_client_of(self, submission: Submission) -> bool:
        """Whether a request of the same client is running."""
        return any(other.client == submission.client for other in self.running)


def load_model(
    bundle: Bundle,
    provider: str | Device,
    max_rows: int,
    budget: int | None,
    on_call: OnCall,
    on_warm_up: OnWarmUp | None = None,
    memory: MemoryLimits | None = None,
) -> LoadedModel:
    """Load a model; raises BundleError or ProviderError. ``budget`` is RowLimit's, in bytes.

    ``memory``: the limits of private memory; None for no limit.

    With ``on_warm_up`` the model is run at all batch sizes first; it is called with a message for each.
    """
    bundle = replace(bundle)  # its files may be others than when the model was loaded before
    if bundle.is_policy:
        model = _policy_model(bundle, provider, max_rows, budget, on_warm_up)
    else:
        model = _usual_model(bundle, provider, max_rows, budget, on_warm_up, memory)

    def count_call(rows: int, seconds: float) -> None:
        model.call_times.observe(rows, seconds)
        on_call(bundle.name, rows, seconds, False)

    denoiser = model.engine.denoiser
    denoiser.on_call = count_call
    denoiser.on_shallow_call = lambda rows, seconds: on_call(bundle.name, rows, seconds, True)
    _ = bundle.sha256  # cached; recipes need it, and computing it later would block the event loop
    return model


def _usual_model(
    bundle: Bundle,
    provider: str | Device,
    max_rows: int,
    budget: int | None,
    on_warm_up: OnWarmUp | None,
    memory: MemoryLimits | None,
) -> LoadedModel:
    max_memory, turns = (None, False) if memory is None else (memory.size, memory.turns_of(bundle.name))
    pipeline = Pipeline(bundle, provider, max_memory=max_memory, low_memory=turns)
    if on_warm_up is not None:
        for request in default_requests(pipeline, max_rows):
            on_warm_up(f"{bundle.name}: warming up at batches of {request.num_images}")
            warm_up(pipeline, request)
    kept_row = features_row(bundle, *bundle.sample_shape[1:]) if bundle.has_shallow_graph else 0
    engine, limit = Engine(pipeline.denoiser), RowLimit(max_rows, budget, private_bytes, kept_row)
    return LoadedModel(bundle, engine, pipeline.components, limit, pipeline.provider, pipeline.precision)


def _policy_model(
    bundle: Bundle, provider: str | Device, max_rows: int, budget: int | None, on_warm_up: OnWarmUp | None
) -> LoadedModel:
    device = Device.parse(provider) if isinstance(provider, str) else provider
    bundle.start_hashing()
    config = PolicyConfig.read(bundle.folder)
    network = PolicyNetwork(bundle, config, device)
    if on_warm_up is not None:
        choice = StepChoice(bundle.scheduler or bundle.sampler("ddim"), 1, 1)
        policy, robots = Policy(bundle, network, config, choice), 1
        while robots <= max_rows:
            on_warm_up(f"{bundle.name}: warming up with {robots} robots")
            policy.warm_up(robots)
            robots *= 2
    engine, limit = Engine(network.denoiser), RowLimit(max_rows, budget, private_bytes)
    return LoadedModel(bundle, engine, Components(), limit, network.provider, device.computes_in, policy=network)
