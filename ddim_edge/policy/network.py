"""Policy network: the encoder and the denoiser of a policy, opened on a device."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..arrays import Array, Conditioning, Sample
from ..bundle.bundle import Bundle
from ..bundle.layout import ENCODER
from ..bundle.policy_config import PolicyConfig
from ..diffusion.samplers import Sampler
from ..errors import BundleError, PredictionError, listed
from ..generation.engine import Engine, Job
from ..networks.components import open_unet
from ..networks.denoiser import Denoiser
from ..runtime.providers.device import Device
from ..runtime.sessions.pool import Sessions


class PolicyNetwork:
    """The two graphs of a policy.

    Attributes:
        denoiser: predicts for chunks.
        encoder: the session of the encoder.

    Raises BundleError where the graphs do not fit policy.json or each other, and ProviderError.
    """

    def __init__(self, bundle: Bundle, config: PolicyConfig, device: Device) -> None:
        if not ENCODER.is_in(bundle.folder):
            raise BundleError(f"{bundle.folder} has no {ENCODER.graph}, which a policy needs: export or copy it again")
        sessions = Sessions(device, files=bundle.files)
        self.denoiser = Denoiser(open_unet(bundle, sessions))
        # It runs once a decision, in time: a session that frees its memory after every run would be slower.
        self.encoder = sessions.open(bundle.folder / ENCODER.graph, bundle.folder, each_step=True)
        self._check_encoder(config)
        self._check_denoiser(config)

    @property
    def provider(self) -> str:
        """The name of the provider that the denoiser really runs on."""
        return self.denoiser.session.provider

    def encode(self, observations: Mapping[str, Array]) -> list[Conditioning]:
        """Each robot's conditioning of the denoiser, from the windows of all, float32 (B, n_obs_steps, …) by name."""
        outputs = self.encoder.run(observations, self.denoiser.conditioning_names)
        for name, output in outputs.items():
            if not np.isfinite(output).all():
                raise PredictionError(f"the encoder returned NaN or infinity in {name}: check its weights")
        robots = len(next(iter(observations.values())))
        return [{name: output[at : at + 1] for name, output in outputs.items()} for at in range(robots)]

    def sample(
        self, samplers: Sequence[Sampler], conditionings: Sequence[Conditioning], on_step: Callable[[], None]
    ) -> list[Sample]:
        """The chunks that the samplers end with, float32 (1, horizon, action_dim) each; one network call a step.

        ``on_step`` is called after every step. Raises PredictionError for NaN or infinity.
        """
        engine = Engine(self.denoiser, max_rows=len(samplers))
        jobs = [Job(sampler, conditioning) for sampler, conditioning in zip(samplers, conditionings, strict=True)]
        for job in jobs:
            engine.add(job)
        while engine.jobs:
            for job in engine.step():
                job.result()  # raises a failed job's error
            on_step()
        return [job.result() for job in jobs]

    def _check_encoder(self, config: PolicyConfig) -> None:
        inputs, wanted = self.encoder.inputs, config.observations
        if inputs.keys() != wanted.keys():
            raise BundleError(
                f"the encoder takes {listed(inputs)}, and policy.json has {listed(wanted)}: export it again"
            )
        for name, observed in wanted.items():
            if not inputs[name].fits((1, config.n_obs_steps, *observed.shape)):
                raise BundleError(
                    f"the encoder's input {inputs[name]} does not take {config.n_obs_steps} observations of the shape "
                    f"{observed.shape}, which policy.json has: export it again"
                )

    def _check_denoiser(self, config: PolicyConfig) -> None:
        session, made = self.denoiser.session, self.encoder.outputs
        missing = [name for name in self.denoiser.conditioning_names if name not in made]
        if missing:
            raise BundleError(
                f"the encoder returns {listed(made)}, and the unet wants {listed(missing)}: export it again"
            )
        for name in self.denoiser.conditioning_names:
            if not _can_be_equal(made[name].shape, session.inputs[name].shape):
                raise BundleError(
                    f"the encoder returns {made[name]}, and the unet takes {session.inputs[name]}: export it again"
                )
        if not session.inputs["sample"].fits((1, config.horizon, config.action_dim)):
            raise BundleError(
                f"the unet's input {session.inputs['sample']} does not take a chunk of {config.horizon} actions of "
                f"{config.action_dim} values, which policy.json has: export it again"
            )


def _can_be_equal(made: Sequence[int | str], wanted: Sequence[int | str]) -> bool:
    """Whether the shapes agree but for the batch, where both have numbers."""
    if len(made) != len(wanted):
        return False
    pairs = zip(made[1:], wanted[1:], strict=True)
    return all(isinstance(one, str) or isinstance(other, str) or one == other for one, other in pairs)
