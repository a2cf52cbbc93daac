"""Scheduler classes of diffusers that are known and not built here, and why. From diffusers 0.42."""

from collections.abc import Mapping

_TOKENS = "it samples tokens of a vocabulary, and here a sample is an array of numbers with Gaussian noise"
_SDE = "it integrates an SDE along a Brownian path that torchsde keeps; take dpmpp-2m or euler-a"
_COGVIDEOX = "its noise schedule is shifted by snr_shift_scale after the betas, for videos"
_STAGES = "it runs in stages of rising resolution, with noise between them; here a sample keeps its shape"

REFUSED: Mapping[str, str] = {
    "AmusedScheduler": _TOKENS,
    "BlockRefinementScheduler": _TOKENS,
    "CogVideoXDDIMScheduler": _COGVIDEOX,
    "CogVideoXDPMScheduler": _COGVIDEOX,
    "ConsistencyDecoderScheduler": "it is part of a decoder of latents, with a noise schedule of its own",
    "CosineDPMSolverMultistepScheduler": _SDE,
    "DDPMWuerstchenScheduler": "its noise schedule is a cosine of continuous time, not a table of betas",
    "DPMSolverMultistepInverseScheduler": "it goes from an image to noise; encode does so with DDIM's inverse. "
    "To generate, take dpmpp-2m",
    "DPMSolverSDEScheduler": _SDE,
    "DiscreteDDIMScheduler": _TOKENS,
    "EntropyBoundScheduler": _TOKENS,
    "FlowMapEulerDiscreteScheduler": "its network takes two times, where a step begins and where it ends",
    "HeliosDMDScheduler": _STAGES,
    "HeliosScheduler": _STAGES,
    "KarrasVeScheduler": "its network takes unscaled samples in σ-space, and diffusers no longer supports it",
    "MiniMaxH3Scheduler": "its pipeline makes videos with sound, which are two samples with times of their own",
    "PiflowScheduler": "its network predicts a policy of several steps at once, not one array like the sample",
    "RFD4ProteinaScheduler": "it is for proteins: two samples with times of their own, and a rescaled score",
    "RePaintScheduler": "it repeats steps with an image and a mask, which a scheduler file does not have; to inpaint, "
    "take any sampler with an image and a mask",
    "SASolverScheduler": "its stochastic Adams method is not built; take dpmpp-2m or unipc",
    "SCMScheduler": "its network predicts TrigFlow's velocity, at times that are angles",
    "ScoreSdeVeScheduler": "its network takes unscaled samples in σ-space, and each step is followed by corrections",
    "ScoreSdeVpScheduler": "its network predicts a score at continuous times, and diffusers no longer supports it",
    "UnCLIPScheduler": "it is for unCLIP's prior, which samples an image's embedding, and for its decoder",
    "VQDiffusionScheduler": _TOKENS,
}
"""Why a scheduler class is not built, by its name; what one can do instead, where there is something."""
