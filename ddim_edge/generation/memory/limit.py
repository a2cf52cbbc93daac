"""The limit of a pipeline's private memory, and the requests that are made within it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ...bundle.bundle import Bundle
from ...bundle.json_files import read_optional
from ...bundle.layout import (
    CONFIG,
    CONTROLNET,
    IMAGE_ENCODER,
    MODEL,
    SHALLOW_MODEL,
    STEP_MODEL,
    UNET,
    VAE_DECODER,
    VAE_ENCODER,
    graphs_of,
)
from ...config.byte_count import byte_count, size_text
from ...diffusion.samplers import DdimConfig
from ...errors import ConfigError
from ...graphs.external_data import check_onnx_file
from ...runtime.hardware.memory import private_bytes
from ...runtime.providers.device import Device
from ...runtime.providers.table import AUTO, CPU
from ...runtime.sessions.first_build import is_mapped, runs_on_cpu
from ..requests.guidance import default_guidance
from ..requests.request import Request
from .activations import residuals, unet_row, vae_pixel, variance
from .features import features_row, shallow_weights
from .plan import Needs, Plan, choose, least

_PROCESS = 60_000_000 + (64 << 20)
"""Private bytes that libraries, tokenizers and images add to those of a process that has just started, and the first
region of the shared arena, which is not freed."""
_OTHER_NETWORKS = 48_000_000
"""Bytes of the activations of a text encoder or safety checker."""
_EIGHTHS = range(8, 1, -1)
"""Sides of tiles, as eighths of the autoencoder's own."""


class MemoryLimit:
    """The most private memory (on Linux: RssAnon) of a process that makes images of ``bundle`` on ``device``.

    ``size``: bytes, or text such as 2GB. ``rows``: those of the largest call; None for the rows of a request's batch.
    Weights that are mapped from a build are not private. Finished images that a caller keeps are not counted. To be
    made before networks are opened.

    Raises ConfigError for a size that is none, a provider other than cpu, a system other than Linux, and a
    model that makes arrays or has a transformer.
    """

    def __init__(self, bundle: Bundle, device: Device, size: int | str, rows: int | None = None) -> None:
        self.bytes = byte_count("max_memory", size)
        if not runs_on_cpu(device):
            provider = "another provider" if device.provider == AUTO else device.provider
            raise ConfigError(
                f"max_memory limits what provider cpu uses, and this runs on {provider}: leave it out, "
                "or use --provider cpu"
            )
        if not bundle.output.is_image:
            raise ConfigError(f"max_memory is estimated for images, and {bundle.name} makes arrays: leave it out")
        if bundle.denoiser is not UNET:
            raise ConfigError(f"max_memory is estimated for UNets, and {bundle.name} has a transformer: leave it out")
        self.device = dataclasses.replace(device, provider=CPU.name)
        self._bundle, self._rows = bundle, rows
        self._base = _used() + _PROCESS
        self._weights = {graph.parent.name: _private_weights(graph, self.device) for graph in _opened(bundle.folder)}
        self._mapped = {graph.parent.name: _mapped_weights(graph) for graph in _opened(bundle.folder)}
        self._opening = max(_opening(graph, self.device) for graph in _opened(bundle.folder))
        self._configs = {
            component.name: read_optional(bundle.folder / component.name / CONFIG) for component in (UNET, VAE_DECODER)
        }

    def fit(self, request: Request, *, may_tile: bool = True, turns: bool | None = None) -> Request:
        """The request with the tiles and rows per call that keep the limit. Raises ConfigError where none do.

        ``may_tile``: whether an image may be decoded in tiles although the request does not say so. ``turns``: whether
        one network is in memory at a time; None where that is still free.
        """
        return _applied(self.plan(request, may_tile=may_tile, turns=turns), request, self._bundle)

    def check(self, request: Request, *, turns: bool | None = None) -> None:
        """Raise ConfigError for a request that does not keep the limit as it is, as one that is made again."""
        self._chosen(self._needs(request, may_tile=False), turns, exact=True)

    def plan(self, request: Request, *, may_tile: bool = True, turns: bool | None = None) -> Plan:
        """How ``fit`` keeps the limit."""
        return self._chosen(self._needs(request, may_tile=may_tile), turns)

    def rows_per_call(self, request: Request, max_rows: int, *, turns: bool) -> int | None:
        """The most rows of a call, where the request shares calls of at most ``max_rows`` rows; None for all of them.

        Raises ConfigError where not even one row keeps the limit.
        """
        images = max(1, max_rows // request.rows)
        batch = dataclasses.replace(request, num_images=images, batch_size=images, seed=0)
        rows = self.plan(batch, may_tile=False, turns=turns).rows
        return request.rows_per_call if rows is None else rows

    def check_opened(self) -> None:
        """Raise ConfigError if the open networks alone take more: their weights are not mapped, as was planned."""
        used = _used()
        if used > self.bytes:
            raise ConfigError(
                f"{self._bundle.name} takes {size_text(used)} of private memory when it is opened, and max_memory is "
                f"{size_text(self.bytes)}: run `ddim-edge build {self._bundle.folder} --provider cpu` first"
            )

    def _chosen(self, needs: Needs, turns: bool | None, *, exact: bool = False) -> Plan:
        if turns is not None:
            needs = dataclasses.replace(needs, turns=(turns,))
        if exact:
            needs = dataclasses.replace(needs, tiles=needs.tiles[:1], slices=False)
        plan = choose(needs, self.bytes)
        if plan is None:
            raise ConfigError(self._too_small(needs))
        return plan

    def _too_small(self, needs: Needs) -> str:
        height, width = needs.sides
        start = f"max_memory {size_text(self.bytes)} is too little for {self._bundle.name}"
        message = f"{start}: it must be at least {size_text(least(needs))} for {width}x{height}"
        small = {name: min(size, self._mapped.get(name, size)) for name, size in needs.weights.items()}
        mapped = dataclasses.replace(needs, weights=small, fixed=_OTHER_NETWORKS)
        if 2 * least(mapped) > least(needs):
            return message
        folder = self._bundle.folder
        return f"{message}, or {size_text(least(mapped))} after `ddim-edge build {folder} --provider cpu`"

    def _needs(self, request: Request, *, may_tile: bool) -> Needs:
        bundle = self._bundle
        _, height, width = bundle.image_shape(request.height, request.width)
        _, *sample = bundle.sample_shape_for(request.height, request.width)
        row = unet_row(self._configs[UNET.name], *sample)
        if bundle.controls:
            row += residuals(self._configs[UNET.name], *sample)
        if bundle.inputs.predicts_variance:
            row += variance(bundle.sample_shape[0], *sample)
        rows = self._rows or min(request.batch_size, request.num_images) * request.rows
        used = {VAE_ENCODER.name: bool(request.origin), IMAGE_ENCODER.name: bool(request.ip_adapter_scale)}
        weights = {name: size for name, size in self._weights.items() if used.get(name, True)}
        features = 0
        if request.step_cache is not None and request.step_cache.kind == "deep":
            weights[SHALLOW_MODEL] = shallow_weights(bundle)
            features = rows * features_row(bundle, *sample)
        return Needs(
            base=self._base + features,
            weights=weights,
            kept=frozenset(name for name in weights if name.startswith((CONTROLNET.name, SHALLOW_MODEL))),
            row=row,
            rows=min(rows, request.rows_per_call or rows),
            pixel=vae_pixel(self._configs[VAE_DECODER.name]) if bundle.vae else 0,
            fixed=max(self._opening, _OTHER_NETWORKS if bundle.inputs.text or bundle.has_safety_checker else 0),
            sides=(height, width),
            tiles=_tiles(bundle, request, max(height, width), may_tile=may_tile),
        )


def _used() -> int:
    used = private_bytes()
    if used is None:
        raise ConfigError("max_memory needs Linux, which reports private memory (RssAnon): leave it out here")
    return used


def usual_request(bundle: Bundle) -> Request:
    """One image of the usual size, to plan with: it cannot be made, because it has no origin where one is needed."""
    prompts = ("",) if bundle.inputs.text else ()
    return Request(num_images=1, prompts=prompts, guidance_scale=default_guidance(bundle), sampler=DdimConfig())


def _opened(bundle: Path) -> Sequence[Path]:
    """The graphs that are opened: of the UNet the one that also computes the step, where there is one."""
    fused = bundle / UNET.name / STEP_MODEL
    return [fused if graph == bundle / UNET.name / MODEL and fused.is_file() else graph for graph in graphs_of(bundle)]


def _private_weights(graph: Path, device: Device) -> int:
    """The private bytes of an open graph and its weights."""
    if is_mapped(graph, graph.parent.parent, device):
        return _mapped_weights(graph)
    return 2_000_000 + 21 * _size(graph) // 20


def _mapped_weights(graph: Path) -> int:
    """The private bytes of an open graph whose weights are mapped."""
    return 2_000_000 + _size(graph) // 64


def _size(graph: Path) -> int:
    return sum(file.stat().st_size for file in (graph, *check_onnx_file(graph, graph.parent.parent)))


def _opening(graph: Path, device: Device) -> int:
    """The bytes that opening a graph takes beside what it keeps: at most 1.8 times its file."""
    return 0 if is_mapped(graph, graph.parent.parent, device) else 9 * graph.stat().st_size // 5


def _tiles(bundle: Bundle, request: Request, longest: int, *, may_tile: bool) -> Sequence[int | None]:
    """The sides of tiles that the request may be made with, largest first; None for whole images."""
    if bundle.vae is None or not (request.vae_tiling or may_tile):
        return (None,)
    if request.vae_tile is not None:
        return (request.vae_tile,)
    own, multiple = bundle.vae.tile, 4 * bundle.vae.factor
    sides = dict.fromkeys(max(own * eighths // 8 // multiple * multiple, multiple) for eighths in _EIGHTHS)
    smaller = [side for side in sides if side < longest]
    return smaller if request.vae_tiling else (None, *smaller)


def _applied(plan: Plan, request: Request, bundle: Bundle) -> Request:
    tile = None if bundle.vae is None or plan.tile == bundle.vae.tile else plan.tile
    rows = request.rows_per_call if plan.rows is None else plan.rows
    return dataclasses.replace(request, vae_tiling=plan.tile is not None, vae_tile=tile, rows_per_call=rows)
