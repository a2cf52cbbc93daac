"""Builds the graphs of a large bundle for the CPU when they are first opened, so that later openings map their weights.

Opening computes what is built anyway: to write it down takes less time than to open the graph once more.
"""

import logging
import warnings
from pathlib import Path

from ...bundle.layout import graphs_of
from ...errors import BuildError, ConfigError, OutputError, ProviderError
from ..compiled.machine import Machine
from ..compiled.recipe import Recipe
from ..compiled.store import built_of
from ..providers.device import Device
from ..providers.options import compile_time_options
from ..providers.table import AUTO, CPU
from .opening import FallbackWarning

LARGE = 500_000_000
"""Bytes of all graphs of a bundle and their weights, above which it is built. A smaller one opens within a second."""
LOG = logging.getLogger("ddim_edge.build")


class FirstBuild:
    """Builds what is opened of a large bundle on the CPU and is not built yet; once it fails, it is not tried again."""

    def __init__(self, device: Device) -> None:
        self._may_build, self._has_told = device.build, False

    def ensure(self, graph: Path, bundle: Path, device: Device) -> None:
        """Build ``graph`` of ``bundle`` where that pays. Where it is not possible, a FallbackWarning says why."""
        if not (self._may_build and runs_on_cpu(device) and is_large(bundle)):
            return
        recipe = _recipe(graph, device)
        if built_of(recipe) is not None:
            return
        try:
            self._build(recipe)
        except (BuildError, ConfigError, OutputError, ProviderError) as error:
            self._may_build = False
            reason = str(error).removesuffix(".")
            message = (
                f"{recipe.component} is not built for this processor: {reason}. It opens more slowly and keeps its"
            )
            warnings.warn(f"{message} weights in private memory; --no-build leaves this out", FallbackWarning, 3)

    def _build(self, recipe: Recipe) -> None:
        from .packing import build_here  # brings modules that no other opening needs

        build_here(recipe, self._tell)

    def _tell(self, cache: Path) -> None:
        if not self._has_told:
            LOG.info("building for this processor, once, in %s (--no-build leaves it out)", cache)
            self._has_told = True


def is_large(bundle: Path) -> bool:
    """Whether a bundle is built when it is first opened on the CPU, and its calls take little memory."""
    return sum(map(graph_size, graphs_of(bundle))) > LARGE


def graph_size(graph: Path) -> int:
    """The bytes of a graph and of the files beside it that may be its weights."""
    return sum(path.stat().st_size for path in graph.parent.glob(f"{graph.name}*") if path.is_file())


def is_mapped(graph: Path, bundle: Path, device: Device) -> bool:
    """Whether a graph's weights are mapped when it is open on the CPU: it is built, or will be at the first opening."""
    return built_of(_recipe(graph, device)) is not None or (device.build and is_large(bundle))


def runs_on_cpu(device: Device) -> bool:
    """Whether graphs run on the CPU by ONNX Runtime: named, or the first that ``auto`` tries."""
    return device.provider in (AUTO, CPU.name) and next(device.candidates(), None) == CPU


def _recipe(graph: Path, device: Device) -> Recipe:
    options = compile_time_options(device.options)
    return Recipe(CPU.name, graph.absolute(), {}, Machine.of(CPU.name), options=options)
