"""Exports without the seconds of tracing, and a pipeline to be spoilt."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ddim_edge_export.bundle_component
from ddim_edge_export import Report
from ddim_edge_export.networks.network import Network
from ddim_edge_export.options import Options
from ddim_edge_export.output.record import write_json
from ddim_edge_export.precision import Precision
from ddim_edge_export.verify.against_torch import Case
from tests.export.conftest import SourceOf

Load = Callable[[], Network]
Exported = list[tuple[str, Network, Precision]]


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Exported:
    """The networks that were exported, without the seconds of tracing; a graph is but its name."""
    calls: Exported = []

    def export_into(folder: Path, load: Load, config: Any, _stage: Any, options: Options) -> Report:
        network = load()
        calls.append((folder.name, network, options.precision))
        write_json(folder / "config.json", config)
        (folder / "model.onnx").write_text(folder.name)
        cases = (Case(batch=1, sizes={}, error=0.0),)
        return Report(path=folder, network=network.name, options=options, cases=cases)

    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_into", export_into)
    return calls


@pytest.fixture
def source(source_of: SourceOf, tmp_path: Path) -> Path:
    """A copy of a Stable Diffusion pipeline, to be spoilt."""
    return Path(shutil.copytree(source_of("stable-diffusion"), tmp_path / "source"))
