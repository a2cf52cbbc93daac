"""Pipeline: opens a model on a device, and makes the images of requests."""

import itertools
import os
import warnings
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Never, Unpack

import numpy as np

from ..bundle.bundle import Bundle
from ..bundle.read import open_bundle
from ..config import whole_number
from ..networks.components import Components, open_denoiser, unet_graph
from ..networks.controlnet import ControlNets
from ..networks.safety_checker import warn_checker_off, warn_unsafe
from ..runtime.providers.device import Device
from ..runtime.sessions.pool import Sessions
from .conditioning import check_conditioning
from .engine import Engine
from .jobs import job_of
from .many import MadeImage, Model, made_images
from .memory.limit import MemoryLimit, usual_request
from .requests.option_table import Options, documents_options
from .requests.options import check_request, default_batch_size, recipe_of, request_of
from .requests.positional import refuse_positional, refuse_unknown_of_load
from .requests.request import Request
from .results import OnPhase, Progress, Result, ignore_phase
from .sample_shape import check_sample, check_size


class SlowWarning(UserWarning):
    """A model runs, but slower than it should on this device."""


class Pipeline:
    """A model, opened on a device.

    Attributes:
        bundle: the model's folder: its files, shapes and settings.
        provider: the name of the provider that the UNet really runs on.
        precision: what the provider may compute float32 graphs in: float32, bfloat16, float16 or auto.
        device: what was asked for; with ``auto``, what was measured best, where it was measured.

    ``low_memory`` and ``max_memory`` as in ``load``; the networks are opened for ``request``, None for one image of the
    usual size.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: Device | str = "auto",
        *,
        low_memory: bool = False,
        max_memory: int | str | None = None,
        request: Request | None = None,
    ) -> None:
        self.bundle, self._turns = bundle, low_memory
        self._limit: MemoryLimit | None = None
        if max_memory is not None:
            device = self._keep_within(max_memory, device, request)
        lean = self._limit is not None
        sessions = Sessions(device, low_memory=self._turns, lean=lean, files=bundle.files, measured=unet_graph(bundle))
        bundle.start_hashing()  # recipes have the hash, and no image is finished before it
        controls = ControlNets(bundle.folder, bundle.controls, sessions)
        self.denoiser = open_denoiser(bundle, controls, sessions)
        controls.check_fit(self.denoiser.session)
        self.device = sessions.device
        self.provider, self.precision = self.denoiser.session.provider, sessions.device.computes_in
        self._warn_if_slow()
        self._sample_axes = self.denoiser.session.inputs["sample"].shape[1:]
        check_sample(bundle, self._sample_axes)
        check_conditioning(bundle, set(self.denoiser.conditioning_names))
        self.components = Components.open(bundle, self.denoiser.session.inputs, sessions)
        if self._limit is not None:
            self._limit.check_opened()

    def request(self, *unnamed: Never, **options: Unpack[Options]) -> Request:
        """Check options against this model and return the request; ``generate`` describes them."""
        refuse_positional(self.bundle, unnamed)
        request = request_of(self.bundle, options)
        check_size(self.bundle, request, self._sample_axes)
        if self._limit is None:
            return request
        return self._limit.fit(request, may_tile=options.get("vae_tiling") is not False, turns=self._turns)

    @documents_options
    def generate(self, *unnamed: Never, **options: Unpack[Options]) -> Result:
        """Make images, or arrays, and return them. All arguments are optional, and given by name.

        {options}

        Raises ConfigError for options that this model does not support, PredictionError if the network returns NaN.
        """
        request = self.request(*unnamed, **options)
        ends = [end for end in self.run(request) if end.samples is not None]
        samples = [end.samples for end in ends if end.samples is not None]
        images = [end.images for end in ends if end.images is not None]
        is_safe = tuple(itertools.chain(*(end.is_safe or () for end in ends))) or None
        pixels = np.concatenate(images) if images else None
        return Result(pixels, self.recipe(request), self.provider, is_safe, np.concatenate(samples))

    def run(
        self, request: Request, chunks: Iterable[range] | None = None, on_phase: OnPhase = ignore_phase
    ) -> Iterator[Progress]:
        """Make the images of ``request`` batch by batch; yield after every network call.

        ``chunks`` limits the run to some of the request's batches. Memory does not grow with the number of images.
        ``on_phase`` is called as each phase of a batch begins.
        Gives an UncheckedWarning if the model's safety checker is turned off, and an UnsafeWarning for every image that
        it finds unsafe.
        """
        if not request.safety_checker:
            warn_checker_off(self.bundle.name)
        self._check_memory(request)
        tiles, tile = request.vae_tiling, request.vae_tile
        pixels = partial(self.components.to_images, check=request.safety_checker, tiles=tiles, tile=tile)
        for indices in chunks if chunks is not None else request.chunks():
            if request.prompts:
                on_phase("text", indices)
            jobs = [job_of(self.bundle, request, index, self.components) for index in indices]
            engine = Engine(self.denoiser, max_rows=sum(job.most_rows for job in jobs))
            for job in jobs:
                engine.add(job)
            on_phase("steps", indices)
            while engine.jobs:
                self.denoiser.most_rows = request.rows_per_call
                for job in engine.step():
                    job.result()  # raises a failed job's error now, not after the whole batch
                progress = Progress(indices, max(job.calls for job in jobs), jobs, None, pixels)
                yield progress if engine.jobs else self._finished(progress, request, on_phase)

    def generate_many(
        self, requests: Iterable[Request], *, max_rows: int | None = None
    ) -> Generator[tuple[int, MadeImage], None, None]:
        """Make the images of many requests together; yield each, with its request's position in ``requests``.

        Images of different requests share the network calls, and come in the order in which they end. ``max_rows``: the
        most rows of a call, where a guided image has two; at least one image is made. None for two for each image of
        the model's usual batch. ``requests`` may have no end: a request is taken when there is room for its first
        image, and an image starts as soon as one ends. Closing the iterator ends what runs.

        A request that fails ends alone: its last item has the error, and raises it where its image is read. The
        iterator raises what ``requests`` raises, and what a network call raises, which is made for all.

        The images are those of ``generate``, up to the rounding of batches; the same bits as with batch_size 1 where
        ``max_rows`` lets one image in. Raises ConfigError for an invalid ``max_rows``.
        """
        rows = 2 * default_batch_size(self.bundle) if max_rows is None else max_rows
        whole_number("max_rows", rows, low=1)
        admit = partial(self._admit, max_rows=rows)
        model = Model(self.bundle, self.denoiser, self.components, self.precision, admit, self._turns)
        return made_images(model, requests, rows)

    def _admit(self, request: Request, max_rows: int) -> int | None:
        """Check a request of ``generate_many``. Returns the most rows of a call that it allows."""
        check_request(self.bundle, request)
        check_size(self.bundle, request, self._sample_axes)
        if not request.safety_checker:
            warn_checker_off(self.bundle.name)
        if self._limit is None:
            return request.rows_per_call
        return self._limit.rows_per_call(request, max_rows, turns=self._turns)

    def _finished(self, progress: Progress, request: Request, on_phase: OnPhase) -> Progress:
        """The progress of a batch whose jobs have ended, with their images."""
        on_phase("decode", progress.indices)
        samples = np.concatenate([job.result() for job in progress.jobs])
        finished, images, is_safe = self.components.finished(
            samples, check=request.safety_checker, tiles=request.vae_tiling, tile=request.vae_tile
        )
        warn_unsafe(progress.indices, is_safe, request.seed)
        return progress._replace(images=images, is_safe=is_safe, samples=finished)

    def recipe(self, request: Request) -> dict[str, Any]:
        """The settings that make the images of ``request`` again, as JSON values."""
        return recipe_of(self.bundle, request, precision=self.precision)

    def check(self, request: Request) -> None:
        """Raise ConfigError for a request that this model does not support."""
        check_request(self.bundle, request)
        check_size(self.bundle, request, self._sample_axes)
        self._check_memory(request)

    def _keep_within(self, max_memory: int | str, device: Device | str, request: Request | None) -> Device:
        """Set the limit, and return the device that it is for."""
        limit = MemoryLimit(self.bundle, Device.parse(device) if isinstance(device, str) else device, max_memory)
        plan = limit.plan(request or usual_request(self.bundle), turns=self._turns or None)
        self._limit, self._turns = limit, plan.turns
        return limit.device

    def _check_memory(self, request: Request) -> None:
        """Raise ConfigError for a request that takes more than ``max_memory``."""
        if self._limit is not None:
            self._limit.check(request, turns=self._turns)

    def _warn_if_slow(self) -> None:
        """Warn of fp16 on a CPU, where ONNX Runtime casts most of it to fp32 and back at every node."""
        if self.provider == "cpu" and self.denoiser.session.is_half:
            warnings.warn(
                f"{self.bundle.name} is in fp16, which a CPU runs slower than fp32: export it with --dtype fp32",
                SlowWarning,
                stacklevel=3,
            )


def load(
    model: str | os.PathLike[str] = "fashion-mnist",
    provider: str | Device = "auto",
    *,
    precision: str | None = None,
    low_memory: bool = False,
    build: bool = True,
    max_memory: int | str | None = None,
    **others: Never,
) -> Pipeline:
    """Open a bundled model by its name, or a bundle by its folder, on ``provider``: a name, ``cuda:1``, or a Device.

    ``precision`` is what the provider may compute in: float32 (the default: a seed gives the same image everywhere),
    bfloat16, float16, or auto, where the provider chooses. None for that of a Device.

    With ``low_memory`` only one network is in memory at a time, besides ControlNets, which stay. The images are the
    same. Every batch opens the networks again, so a larger ``batch_size`` opens them less often.

    A bundle of more than 500 MB is built for the CPU when it is first opened there, in the user's cache: from then on
    it opens in a second or two, and its weights are mapped, not copied. ``build=False`` leaves that out. The logger
    ``ddim_edge.build`` tells of it; a FallbackWarning says why it is not possible.

    ``max_memory`` limits the private memory of this process, on provider cpu: bytes, or text such as "2GB". Network
    calls get fewer rows where they have to, networks are opened one at a time, and at last the autoencoder works in
    tiles, which changes the pixels slightly; recipes record it. Finished images are not counted.

    Raises BundleError if the model is missing or broken, ProviderError if the provider does not run or does not compute
    in that precision, ConfigError for an unknown precision or option, and for a limit of memory that cannot be kept.
    """
    refuse_unknown_of_load(others)
    device = Device.parse(provider) if isinstance(provider, str) else provider
    device = device if precision is None else replace(device, precision=precision)
    device = device if build else replace(device, build=False)
    return Pipeline(open_bundle(model), device, low_memory=low_memory, max_memory=max_memory)
