"""Optimized graphs: a graph as ONNX Runtime runs it on this CPU, written down with its weights in packed form.

ONNX Runtime rearranges ("packs") the weights of matrix products when it opens a graph, which takes seconds and keeps
all of them in private memory. With the packed forms in the graph's file of weights, they are mapped: processes share
them, and the system can take their memory back. Other weights are mapped as they are.

The unpacked weights stay in the file too. ONNX Runtime 1.32 packs each again when it opens the graph, compares, and
uses the mapped form only if both are equal; for that it reads them once. Packed forms do not depend on the number of
threads.
"""

import shutil
from pathlib import Path
from typing import Any

from ...bundle.layout import MODEL
from ...errors import OutputError, ProviderError
from ...files import flush_files, output_errors
from ..hardware.memory import trim_heap
from ..providers.error_text import first_error_line
from ..providers.onnxruntime_module import runtime
from ..providers.table import CPU
from .session_options import Purpose, session_options

WEIGHTS = f"{MODEL}_data"
"""The file of an optimized graph's weights, beside the graph."""
_SMALL = "1024"
"""Bytes. Smaller weights stay in the graph, whose shapes ONNX Runtime could not infer otherwise."""
_FULL = 1 << 20
"""A disk with less space than this, in bytes, is full."""


def write_optimized(graph: Path, folder: Path) -> None:
    """Write the optimized graph and its weights into ``folder``. Takes as much memory as to open ``graph``.

    Raises OutputError where the disk is full, ProviderError where ONNX Runtime does not open or write the graph.
    """
    options = session_options(Purpose.EACH_STEP)
    options.optimized_model_filepath = str(folder / MODEL)
    entries = {
        "session.optimized_model_external_initializers_file_name": WEIGHTS,
        "session.optimized_model_external_initializers_min_size_in_bytes": _SMALL,
        "session.save_external_prepacked_constant_initializers": "1",
    }
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    try:
        _open(graph, options)
    except (OutputError, ProviderError):
        for name in (MODEL, WEIGHTS):  # gigabytes, where the disk is full
            (folder / name).unlink(missing_ok=True)
        raise
    trim_heap()
    with output_errors(folder):  # a power failure must not leave other weights in a file that counts as checked
        flush_files(folder)


def check_optimized(folder: Path) -> None:
    """Open what ``write_optimized`` wrote. Raises ProviderError where that fails."""
    options = session_options(Purpose.EACH_STEP)
    options.graph_optimization_level = runtime().GraphOptimizationLevel.ORT_DISABLE_ALL
    _open(folder / MODEL, options)


def _open(graph: Path, options: Any) -> None:
    try:
        runtime().InferenceSession(graph, options, providers=[CPU.ort_name])
    except Exception as error:  # ONNX Runtime's exceptions have no public base but this one
        target = Path(options.optimized_model_filepath or graph).parent
        if shutil.disk_usage(target).free < _FULL:
            raise OutputError(f"cannot write {target}: the disk is full") from None
        raise ProviderError(f"{graph} cannot be opened: {first_error_line(error)}") from None
