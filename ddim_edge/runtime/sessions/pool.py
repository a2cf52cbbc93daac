"""Opens the sessions of one pipeline: all on one device, and with low_memory one at a time."""

import warnings
from pathlib import Path

from ...errors import ProviderError
from ...graphs.external_data import check_onnx_file
from ...graphs.same_files import GraphFiles, SameFiles
from ..compiled.choosing import chosen_device
from ..providers.device import Device
from ..providers.table import AUTO
from .first_build import FirstBuild, is_large, runs_on_cpu
from .fp16_check import fp32_fallback_of
from .opening import FallbackWarning
from .session import OneInMemory, Session

_AGAIN = "Run `ddim-edge build --provider auto` again"


class Sessions:
    """Opens the graphs of a pipeline on ``device``; with ``low_memory`` one network at a time is in memory.

    On the CPU, calls of a large bundle take little memory; with ``lean`` also those of others.

    ``files`` notices that a file was replaced since the model's first network was opened. ``measured`` is the graph for
    which ``auto`` takes what ``ddim-edge build --provider auto`` found best, for all graphs; None for none.
    """

    def __init__(
        self,
        device: Device | str = "auto",
        *,
        low_memory: bool = False,
        lean: bool = False,
        files: SameFiles | None = None,
        measured: Path | None = None,
    ) -> None:
        self._asked = Device.parse(device) if isinstance(device, str) else device
        self.device = self._asked if measured is None else _measured_best(measured, self._asked)
        self._one_in_memory = OneInMemory() if low_memory else None
        self._files = files or SameFiles()
        self._first_build = FirstBuild(self._asked)
        self._lean = lean

    def open(self, path: Path, root: Path, *, each_step: bool = False, keep_open: bool = False) -> Session:
        """Check the graph's files, which must lie below ``root``, and open it.

        ``each_step``: whether the network is called at every step, not once per image. ``keep_open``: keep it in memory
        also with ``low_memory``. Raises BundleError or ProviderError where it cannot be opened.
        """
        graphs = filter(None, (path, fp32_fallback_of(path)))
        paths = (file for graph in graphs for file in (graph, *check_onnx_file(graph, root)))
        files = GraphFiles(self._files).joined_by(paths)
        self._first_build.ensure(path, root, self.device)
        one_in_memory = None if keep_open else self._one_in_memory

        def opened(device: Device) -> Session:
            lean = self._lean or (is_large(root) and runs_on_cpu(device))
            return Session(path, device, one_in_memory=one_in_memory, lean=lean, each_step=each_step, files=files)

        try:
            return opened(self.device)
        except ProviderError as error:
            if self.device == self._asked:
                raise
            message = f"what was measured best for this model, {self.device.provider}, does not run: {error}. {_AGAIN}"
            warnings.warn(message, FallbackWarning, stacklevel=2)
            self.device = self._asked
            return opened(self.device)


def computes_in(graph: Path, device: Device) -> str:
    """The precision that images depend on; with ``auto`` that of what was measured best of ``graph``."""
    found = chosen_device(graph, device)[0] if device.provider == AUTO else None
    return (found or device).computes_in


def _measured_best(graph: Path, asked: Device) -> Device:
    """The device that was measured best for ``auto``; the one that was asked for where there is none."""
    if asked.provider != AUTO:
        return asked
    found, fault = chosen_device(graph, asked)
    if fault is not None and found is None:
        message = f"`auto` does not take what was measured best for this model: {fault}. {_AGAIN}"
        warnings.warn(message, FallbackWarning, stacklevel=2)
    return found or asked
