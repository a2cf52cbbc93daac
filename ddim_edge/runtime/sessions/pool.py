"""Opens the sessions of one pipeline: all on one device, and with low_memory one at a time."""

from pathlib import Path

from ...graphs.external_data import check_onnx_file
from ...graphs.same_files import GraphFiles, SameFiles
from ..providers.device import Device
from .first_build import FirstBuild
from .fp16_check import fp32_fallback_of
from .session import OneInMemory, Session


class Sessions:
    """Opens the graphs of a pipeline on ``device``; with ``low_memory`` one network at a time is in memory.

    ``files`` notices that a file was replaced since the model's first network was opened.
    """

    def __init__(
        self, device: Device | str = "auto", *, low_memory: bool = False, files: SameFiles | None = None
    ) -> None:
        self.device = Device.parse(device) if isinstance(device, str) else device
        self._one_in_memory = OneInMemory() if low_memory else None
        self._files = files or SameFiles()
        self._first_build = FirstBuild(self.device)

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
        return Session(path, self.device, one_in_memory=one_in_memory, each_step=each_step, files=files)
