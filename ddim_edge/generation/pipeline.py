"""The pipeline: a request becomes jobs, the engine steps them, and samples become images."""

import itertools
import os
import warnings
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Unpack

import numpy as np

from ..bundle.bundle import Bundle
from ..bundle.read import open_bundle
from ..errors import BundleError, ConfigError
from ..networks.components import Components, open_unet
from ..networks.controlnet import ControlNets
from ..networks.denoiser import Denoiser
from ..networks.safety_checker import warn_checker_off, warn_unsafe
from ..runtime.providers.device import Device
from ..runtime.sessions.pool import Sessions
from .engine import Engine
from .jobs import job_of
from .requests.option_table import Options, documents_options
from .requests.options import check_request, recipe_of, request_of
from .requests.request import Request
from .results import Progress, Result


class SlowWarning(UserWarning):
    """A model runs, but not as it should on this device."""


class Pipeline:
    """A model, opened on a device.

    Attributes:
        bundle: what the model's folder says.
        provider: the name of the provider that the network really runs on.
    """

    def __init__(self, bundle: Bundle, device: Device | str = "auto", *, low_memory: bool = False) -> None:
        sessions = Sessions(device, low_memory=low_memory)
        self.bundle = bundle
        controls = ControlNets(bundle.folder, bundle.controls, sessions)
        self.denoiser = Denoiser(open_unet(bundle, sessions), controls)
        controls.check_fit(self.denoiser.session)
        self.provider = self.denoiser.session.provider
        self._warn_if_slow()
        self._check_conditioning()
        self.components = Components.open(bundle, self.denoiser.session.inputs, sessions)

    def request(self, **options: Unpack[Options]) -> Request:
        """Check options against this model and return the request; see ``generate`` for what they mean."""
        request = request_of(self.bundle, options)
        self._check_size(request)
        return request

    @documents_options
    def generate(self, **options: Unpack[Options]) -> Result:
        """Make images and return them. All options may be left out.

        {options}

        Raises ConfigError for options that mean nothing for this model, PredictionError where the network returns NaN.
        """
        request = self.request(**options)
        ends = [(end.images, end.is_safe or ()) for end in self.run(request) if end.images is not None]
        images, flags = zip(*ends, strict=True)
        is_safe = tuple(itertools.chain(*flags)) or None
        return Result(np.concatenate(images), self.recipe(request), self.provider, is_safe)

    def run(self, request: Request, chunks: Iterable[range] | None = None) -> Iterator[Progress]:
        """Make the images of ``request`` batch by batch, yielding after every network call.

        ``chunks`` limits the run to some of the request's batches. Memory does not grow with the number of images.
        Warns of images that nobody checks, though the model can, with an UncheckedWarning, and of every one that was
        found unsafe with an UnsafeWarning.
        """
        if not request.safety_checker:
            warn_checker_off(self.bundle.name)
        pixels = partial(self.components.to_images, check=request.safety_checker, tiles=request.vae_tiling)
        for indices in chunks if chunks is not None else request.chunks():
            jobs = [job_of(self.bundle, request, index, self.components) for index in indices]
            engine = Engine(self.denoiser, max_rows=2 * len(jobs))
            for job in jobs:
                engine.add(job)
            while engine.jobs:
                for job in engine.step():
                    job.result()  # raises now what would otherwise be seen only when the whole batch has ended
                progress = Progress(indices, max(job.calls for job in jobs), jobs, None, pixels)
                yield progress if engine.jobs else self._finished(progress, request)

    def _finished(self, progress: Progress, request: Request) -> Progress:
        """The progress of a batch whose jobs have ended, with their images."""
        samples = np.concatenate([job.result() for job in progress.jobs])
        images, is_safe = self.components.to_checked_images(
            samples, check=request.safety_checker, tiles=request.vae_tiling
        )
        warn_unsafe(progress.indices, is_safe, request.seed)
        return progress._replace(images=images, is_safe=is_safe)

    def recipe(self, request: Request) -> dict[str, Any]:
        """What it takes to make the images of ``request`` again, as JSON values."""
        return recipe_of(self.bundle, request)

    def check(self, request: Request) -> None:
        """Refuse a request that this model cannot honour with ConfigError."""
        check_request(self.bundle, request)
        self._check_size(request)

    def _warn_if_slow(self) -> None:
        """fp16 is for GPUs: ONNX Runtime's CPU casts most of it to fp32, and back, at every node."""
        if self.provider == "cpu" and self.denoiser.session.is_half:
            warnings.warn(
                f"{self.bundle.name} is in fp16, which a CPU runs slower than fp32: export it with --dtype fp32",
                SlowWarning,
                stacklevel=3,
            )

    def _check_size(self, request: Request) -> None:
        """Refuse a size that the graph was not exported for."""
        shape = self.bundle.sample_shape_for(request.height, request.width)
        fixed = self.denoiser.session.inputs["sample"].shape[2:]
        if any(isinstance(side, int) and side != wanted for side, wanted in zip(fixed, shape[1:], strict=True)):
            _, height, width = self.bundle.image_shape()
            raise ConfigError(
                f"{self.bundle.name}'s unet takes samples of {fixed[0]}x{fixed[1]} alone, not {shape[1]}x{shape[2]}: "
                f"leave height and width out ({height} and {width} are usual), or export it without fixed sizes"
            )

    def _check_conditioning(self) -> None:
        wanted = set(self.denoiser.conditioning_names)
        known = self.bundle.conditioning_names
        if wanted != known:
            raise BundleError(
                f"{self.bundle.name}'s unet wants the conditioning {', '.join(sorted(wanted)) or 'none'}, and what the "
                f"bundle says of itself gives {', '.join(sorted(known)) or 'none'}"
            )


def load(
    model: str | os.PathLike[str] = "fashion-mnist", provider: str | Device = "auto", *, low_memory: bool = False
) -> Pipeline:
    """Open a bundled model by its name, or a bundle by its folder, on ``provider``: a name, ``cuda:1``, or a Device.

    With ``low_memory`` one network is in memory at a time: each is opened when it is due, and dropped for the next, but
    for ControlNets, which stay. The images are the same. Every batch opens them again, so a larger ``batch_size`` opens
    them less often.

    Raises BundleError where the model is not there or broken, ProviderError where the provider does not run.
    """
    return Pipeline(open_bundle(model), provider, low_memory=low_memory)
