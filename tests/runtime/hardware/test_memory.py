"""What opening a graph, and calling it, leaves in memory: its weights, and little beside them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.parser
import pytest

from ddim_edge.runtime.hardware import memory as heap
from ddim_edge.runtime.hardware.memory import peak_memory

_LAYERS, _CHANNELS = 12, 512
_WEIGHTS = _LAYERS * _CHANNELS * _CHANNELS * 9 * 4
_RESIDENT = """
import sys, onnxruntime, numpy
from pathlib import Path
from ddim_edge import Session

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
"""
_OPEN = f"""{_RESIDENT}
before = resident()
session = Session(Path(sys.argv[1]), "cpu")
print(resident() - before)
"""
_LENGTH = 2**24
_CALL = f"""{_RESIDENT}
sample = numpy.ones({_LENGTH}, numpy.float32)
session = Session(Path(sys.argv[1]), "cpu", each_step=sys.argv[2] == "True")
session.run({{"sample": sample[:8]}})  # the arena's first block stays, which in a real graph is that of its weights
before = resident()
session.run({{"sample": sample}})
print(resident() - before)
"""


def _convolutions(path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((_CHANNELS, _CHANNELS, 3, 3), np.float32)
    weights = [onnx.numpy_helper.from_array(weight + layer, f"w{layer}") for layer in range(_LAYERS)]
    names = ["sample", *(f"x{layer}" for layer in range(1, _LAYERS)), "out_sample"]
    nodes = [
        onnx.helper.make_node("Conv", [names[layer], f"w{layer}"], [names[layer + 1]], pads=[1, 1, 1, 1])
        for layer in range(_LAYERS)
    ]
    shape: list[str | int | None] = [1, _CHANNELS, "height", "width"]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in (names[0], names[-1])]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10), path)


@pytest.mark.skipif(heap._malloc_trim() is None, reason="the C library is not glibc")
def test_opening_a_graph_keeps_one_copy_of_its_weights(tmp_path: Path) -> None:
    _convolutions(tmp_path / "model.onnx")
    command = [sys.executable, "-c", _OPEN, str(tmp_path / "model.onnx")]
    grown = int(subprocess.check_output(command, text=True, timeout=300))
    assert _WEIGHTS < grown < 1.3 * _WEIGHTS


@pytest.mark.skipif(sys.platform != "linux", reason="it is read in /proc")
@pytest.mark.parametrize("each_step", [True, False])
def test_what_is_called_once_an_image_keeps_no_memory(tmp_path: Path, each_step: bool) -> None:
    source = """<ir_version: 10, opset_import: ["" : 18]>
    g (float[n] sample) => (float[1] out) { a = Exp(sample) b = Sin(a) out = ReduceMean(b) }"""
    onnx.save(onnx.parser.parse_model(source), tmp_path / "model.onnx")
    command = [sys.executable, "-c", _CALL, str(tmp_path / "model.onnx"), str(each_step)]
    kept = int(subprocess.check_output(command, text=True, timeout=300))
    assert (kept > 3 * _LENGTH) == each_step


def test_without_glibc_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    for trim, expected in ((asked.append, [0]), (None, [])):
        monkeypatch.setattr(heap, "_malloc_trim", lambda trim=trim: trim)
        asked.clear()
        heap.trim_heap()
        assert asked == expected


def test_the_peak_of_memory_covers_what_was_held() -> None:
    before = peak_memory()
    held = np.ones(2**26, np.uint8)
    after = peak_memory()
    assert before is not None
    assert after is not None
    assert after >= max(before, held.nbytes)
