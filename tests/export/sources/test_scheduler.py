"""Which scheduler a bundle gets: the source's, one that is given, or DDIM where it may be assumed."""

import json
from pathlib import Path
from typing import Any

import pytest

import ddim_edge_export.bundle_component
from ddim_edge.bundle.read import open_bundle
from ddim_edge.errors import ConfigError
from ddim_edge_export import export_folder
from ddim_edge_export.sources.scheduler import ASSUMED, SchedulerWarning, check_scheduler, choose_scheduler
from tests.export.conftest import SourceOf
from tests.export.output.killed_exports import without_tracing
from tests.helpers.command_line import Invoke

OWN = {"_class_name": "PNDMScheduler", "skip_prk_steps": True}
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The scheduler file of a source."""
    path = tmp_path / "scheduler_config.json"
    path.write_text(json.dumps(OWN))
    return path


def test_the_source_has_one(own: Path) -> None:
    chosen = choose_scheduler(own, None, assume_ddim=False)
    assert (chosen.keys, chosen.origin) == (OWN, "source")
    with pytest.raises(ConfigError, match=r"--assume-ddim: the source has a scheduler, .*; leave the option out"):
        choose_scheduler(own, None, assume_ddim=True)


def test_another_one_is_given(own: Path, tmp_path: Path) -> None:
    chosen = choose_scheduler(own, BETAS, assume_ddim=False)
    assert (chosen.keys, chosen.origin) == (BETAS, "given")
    assert choose_scheduler(tmp_path / "none", own, assume_ddim=False).keys == OWN
    with pytest.raises(ConfigError, match="exclude each other"):
        choose_scheduler(tmp_path / "none", own, assume_ddim=True)


def test_none_is_invented(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown: give --scheduler FILE with diffusers' keys, or --assume-ddim"):
        choose_scheduler(tmp_path / "none", None, assume_ddim=False)
    assert choose_scheduler(tmp_path / "none", None, assume_ddim=True).keys == ASSUMED


@pytest.mark.usefixtures("untraceable")
def test_the_command_does_not_invent_one(unet_folder: Path, tmp_path: Path, invoke: Invoke) -> None:
    outcome = invoke("export", unet_folder, tmp_path / "out")
    assert outcome.failed_with("there is no", "--scheduler FILE", "--assume-ddim")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keys", [OWN, BETAS, ASSUMED])
def test_no_warning_for_what_is_built(keys: dict[str, Any], recwarn: pytest.WarningsRecorder) -> None:
    check_scheduler(keys)
    assert not recwarn.list


def test_a_scheduler_that_is_not_built_but_has_betas_is_warned_of() -> None:
    with pytest.warns(SchedulerWarning, match=r"only with another sampler, as in `run --sampler ddim`: .*'SASolver"):
        check_scheduler({"_class_name": "SASolverScheduler", **BETAS})


@pytest.mark.parametrize(
    "keys",
    [
        {"_class_name": "ScoreSdeVeScheduler", "sigma_max": 1348.0},
        {"_class_name": "SCMScheduler", "sigma_data": 0.5},
        {"_class_name": "DDIMScheduler", "beta_start": "x"},
    ],
)
def test_a_scheduler_that_no_sampler_replaces_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"no sampler runs this model: .* Give another by --scheduler FILE"):
        check_scheduler(keys)


def test_a_bundle_with_another_scheduler_says_so(
    source_of: SourceOf, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_into", without_tracing)
    out = tmp_path / "out"
    export_folder(source_of("stable-diffusion"), out, components=["unet"], scheduler=own)
    assert json.loads((out / "scheduler/scheduler_config.json").read_text()) == OWN
    assert json.loads((out / "model_index.json").read_text())["scheduler"] == ["diffusers", "PNDMScheduler"]
    assert json.loads((out / "export.json").read_text())["scheduler"] == "given"
    scheduler = open_bundle(out).scheduler
    assert scheduler is not None
    assert scheduler.name == "pndm"
