"""The graphs that providers are tried with, and the process of its own that each trial has."""

import signal
import sys
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from ddim_edge.doctor import trial
from ddim_edge.doctor.isolated import run_isolated
from ddim_edge.doctor.trial import PROBES, SHAPES, run_probe, try_provider
from ddim_edge.errors import ProviderError

from . import probe_graphs

Array = NDArray[np.float64]


def sample(probe: str) -> Array:
    return np.random.default_rng(0).standard_normal(SHAPES[probe], dtype=np.float32).astype(np.float64)


def convolution(x: Array) -> Array:
    """By the definition: a sum over shifted images, then SiLU."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = x.shape[2:]
    features = probe_graphs.BIAS[None, :, None, None].astype(np.float64)
    for row in range(3):
        for column in range(3):
            shifted = padded[:, :, row : row + height, column : column + width]
            features = features + np.einsum("oc,nchw->nohw", probe_graphs.FILTERS[:, :, row, column], shifted)
    silu: Array = features / (1 + np.exp(-features))
    return silu


def attention(x: Array) -> Array:
    """softmax(q kᵀ / √d) v for each head's own channels."""
    query, width = x @ probe_graphs.QUERY, x.shape[-1] // probe_graphs.HEADS
    mixed = []
    for head in range(probe_graphs.HEADS):
        own = slice(head * width, (head + 1) * width)
        scores = np.exp(query[..., own] @ x[..., own].swapaxes(1, 2) / np.sqrt(width))
        mixed.append(scores / scores.sum(-1, keepdims=True) @ x[..., own])
    return np.concatenate(mixed, axis=-1)


ORACLES = {"convolution": convolution, "attention": attention}


@pytest.mark.parametrize("probe", SHAPES)
def test_the_cpu_computes_what_numpy_does(probe: str) -> None:
    output, milliseconds, remark = run_probe(probe, "cpu")
    np.testing.assert_allclose(output, ORACLES[probe](sample(probe)), atol=2e-5)
    assert 0.1 < np.abs(output).mean() < 3  # around 1, as the tolerance supposes
    assert (milliseconds > 0, remark) == (True, None)


@pytest.mark.parametrize("probe", SHAPES)
def test_the_committed_graph_is_what_the_script_writes(probe: str) -> None:
    file = PROBES / probe / "model.onnx"
    assert onnx.load(file) == probe_graphs.GRAPHS[probe]()
    assert file.stat().st_size < 6000


def test_every_probe_is_tried() -> None:
    assert {folder.name for folder in PROBES.iterdir()} == set(SHAPES) == set(probe_graphs.GRAPHS)


@pytest.mark.parametrize(("bias", "reason"), [(0.01, None), (0.1, "attention"), (np.nan, "attention")])
def test_a_provider_that_computes_wrongly(monkeypatch: pytest.MonkeyPatch, bias: float, reason: str | None) -> None:
    def run(probe: str, provider: str) -> trial.Run:
        wrong = provider == "cuda" and probe == "attention"
        return trial.Run(np.ones((2, 2), np.float32) + np.float32(bias if wrong else 0), 1.5, "a remark")

    monkeypatch.setattr(trial, "run_probe", run)
    found = try_provider("cuda")
    assert found["convolution"] == {"milliseconds": 1.5, "error": 0, "remark": "a remark"}
    np.testing.assert_allclose(found["attention"]["error"], bias, rtol=1e-4)
    assert found["reason"] is None if reason is None else f"it computes {reason} wrongly" in found["reason"]


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (["CUDAExecutionProvider"], "no device. The loader says: libcudnn.so.9: cannot open shared object file"),
        ([], "no device"),
    ],
)
def test_a_provider_that_fails_has_the_loaders_words_too(
    monkeypatch: pytest.MonkeyPatch, held: list[str], words: str
) -> None:
    def run(*_: str) -> None:
        raise ProviderError("no device")

    class Runtime:
        get_available_providers = staticmethod(lambda: held)

    monkeypatch.setattr(trial, "run_probe", run)
    monkeypatch.setattr(trial, "runtime", Runtime)
    monkeypatch.setattr(trial, "why_not_loaded", lambda *_: "libcudnn.so.9: cannot open shared object file")
    assert try_provider("cuda") == {"reason": words}


def test_a_trial_apart_is_the_trial_here() -> None:
    apart, here = run_isolated("trial", "cpu", seconds=300), try_provider("cpu")
    assert apart.keys() == here.keys() == {"reason", "runtime", *SHAPES}
    assert apart["reason"] is here["reason"] is None


def test_the_driver_apart() -> None:
    assert run_isolated("driver", seconds=300).keys() == {"driver", "cuda", "gpus", "reason"}


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("print('noise'); print('{\"reason\": null}')", None),
        (
            f"import os, sys; print('in cudnn', file=sys.stderr); os.kill(os.getpid(), {signal.SIGSEGV:d})",
            "crashed (SIGSEGV): in cudnn",
        ),
        ("import os; os.abort()", "crashed (SIGABRT)"),
        ("import sys; sys.exit('first\\nlast')", "ended with exit code 1: last"),
        ("", "ended with exit code 0"),
    ],
)
def test_how_a_process_ends(code: str, answer: str | None) -> None:
    assert run_isolated("trial", "cuda", seconds=300, command=python(code)) == {"reason": answer}


def test_a_process_that_hangs_is_ended() -> None:
    found: dict[str, Any] = run_isolated("driver", seconds=0.5, command=python("import signal; signal.pause()"))
    assert found == {"reason": "no answer within 0.5 s, as where a driver hangs"}
