"""Cells are kept as they come, of one model and one classifier."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
import torch

import ddim_edge
from bench import results, tables
from bench.quality import plan, record
from bench.quality.classifier import Classifier

CELLS = [plan.SamplerCell("ddim", calls, 10) for calls in (4, 8)]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An untrained classifier's; results go to a folder of the test, and no table is rendered."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 28, 28), np.uint8)
    monkeypatch.setattr(record, "load_images", lambda _split: (pixels, np.arange(4)))
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(tables, "publish", lambda subject, found, _packages: results.write(subject, found))
    return _weights(tmp_path / "classifier.pt", seed=0)


def _weights(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    torch.save(Classifier().state_dict(), path)
    return path


def _measured(weights: Path, model: str = "model", *, keep: bool = True) -> list[str]:
    """The keys of the cells that had to be measured."""
    measured: list[str] = []

    def measure(cell: plan.SamplerCell, _advance: Any) -> dict[str, float]:
        measured.append(cell.key)
        return {"distance": 1.0}

    bundle = SimpleNamespace(name=model, sha256="0", sampler=lambda _name: ddim_edge.DdimConfig())
    judged = record.Judged("solvers", keep=keep, weights=weights)
    judged.bench(SimpleNamespace(bundle=bundle), 1)  # type: ignore[arg-type]
    judged.measure(SimpleNamespace(measure=measure), CELLS)  # type: ignore[arg-type]
    return measured


def test_what_was_measured_is_not_measured_again(weights: Path) -> None:
    assert _measured(weights) == [cell.key for cell in CELLS]
    assert _measured(weights) == []


def test_another_model_begins_anew(weights: Path) -> None:
    _measured(weights)
    assert len(_measured(weights, "another model")) == 2


def test_another_classifier_s_record_is_not_thrown_away(weights: Path, tmp_path: Path) -> None:
    _measured(weights)
    before = (tmp_path / "solvers.json").read_bytes()
    with pytest.raises(
        click.ClickException, match=r"solvers\.json was judged by another classifier .* move the file away"
    ):
        _measured(_weights(tmp_path / "other.pt", seed=1))
    assert (tmp_path / "solvers.json").read_bytes() == before


def test_a_try_writes_nothing_and_reads_nothing(weights: Path, tmp_path: Path) -> None:
    _measured(weights)
    before = (tmp_path / "solvers.json").read_bytes()
    assert len(_measured(weights, keep=False)) == 2
    assert (tmp_path / "solvers.json").read_bytes() == before
