"""``export --step-cache``: what goes into the bundle, and what is refused before anything is traced."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner

import ddim_edge_export.bundle_component
from ddim_edge.bundle.verify import verify_files
from ddim_edge.cli import cli
from ddim_edge.errors import ConfigError
from ddim_edge_export import Report, export_folder, export_unet
from ddim_edge_export.options import Options
from ddim_edge_export.output.record import write_json
from ddim_edge_export.output.report import read_report
from ddim_edge_export.progress import Stage
from ddim_edge_export.verify.against_torch import Case
from tests.helpers.tiny_unet import tiny_unet

from .conftest import MakeUnet, SourceOf, TinyNetwork


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the seconds of tracing: every graph is the tiny one, which has as many branches as the network."""

    def export_into(folder: Path, _load: Any, config: Any, on_stage: Stage, options: Options) -> Report:
        on_stage("load")
        write_json(folder / "config.json", config)
        onnx.save(tiny_unet(), folder / "model.onnx")
        cases = (Case(batch=1, sizes={}, error=0.0),)
        return Report(path=folder, network="UNet2DConditionModel", options=options, cases=cases)

    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_into", export_into)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(("given", "branch"), [([], 0), (["1"], 1)])
def test_what_goes_into_the_bundle(given: list[str], branch: int, unet_folder: Path, tmp_path: Path) -> None:
    arguments = ["export", str(unet_folder), str(tmp_path / "out"), "--assume-ddim", "--fuse-step", "--step-cache"]
    result = CliRunner().invoke(cli, [*arguments, *given], catch_exceptions=False)
    assert result.exit_code == 0
    assert f"its shallow graph branch {branch}, " in result.output
    assert "% of the parameters, at most " in result.output
    unet = tmp_path / "out" / "unet"
    record = json.loads((unet / "export.json").read_text())
    assert (record["step_cache"], record["made_from"]["step_cache"]) == (branch, branch)
    check = record["verification"]["step_cache"]
    assert check["branch"] == branch
    report = read_report(unet)
    assert report.step_cache is not None
    assert report.step_cache.to_json() == check
    assert {"unet/shallow.onnx", "unet/unet_step.onnx"} <= json.loads((tmp_path / "out/export.json").read_text())[
        "files"
    ].keys()
    assert verify_files(tmp_path / "out") > 5


@pytest.mark.usefixtures("untraced")
def test_json_has_the_share_of_the_parameters(unet_folder: Path, tmp_path: Path) -> None:
    arguments = ["export", str(unet_folder), str(tmp_path / "out"), "--assume-ddim", "--step-cache", "--json"]
    (line,) = CliRunner().invoke(cli, arguments, catch_exceptions=False).stdout.splitlines()
    told, record = json.loads(line), json.loads((tmp_path / "out" / "unet" / "export.json").read_text())
    assert told["components"]["unet"]["step_cache"] == record["verification"]["step_cache"]
    assert 0 < told["components"]["unet"]["step_cache"]["parameters"] < 1


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("stable-diffusion", {"step_cache": 2}, "branch 2 must be from 0 to 1 for this unet, whose last up block has 2 re"),
    ("stable-diffusion", {"step_cache": -1}, "branch -1 must be 0 or more"),
    ("controlnet", {"components": ["unet", "controlnet"]}, "--step-cache: ControlNets change what a shallow call"),
    ("stable-diffusion", {"components": ["text_encoder"]}, "--step-cache is for the unet: add it to --components"),
    ("stable-diffusion", {"dtype": "fp16", "fp32_too": ["all"]}, "leave the unet out of --fp32-too, or use --keep-fp"),
]


@pytest.mark.usefixtures("untraceable")
@pytest.mark.parametrize(("name", "options", "message"), REFUSED)
def test_what_is_refused(name: str, options: dict[str, Any], message: str, source_of: SourceOf, tmp_path: Path) -> None:
    parts = ["unet", "text_encoder"]
    with pytest.raises(ConfigError, match=message):
        export_folder(source_of(name), tmp_path / "out", **{"components": parts, "step_cache": 0} | options)
    assert not (tmp_path / "out").exists()


def test_a_module_that_is_no_unet(tiny: TinyNetwork, make_unet: MakeUnet, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--step-cache: TinyNetwork has no deep features to cache: it has no conv_in"):
        export_unet(tiny, tiny.config, tmp_path / "out", step_cache=0)
    blocks = {"down_block_types": ("SkipDownBlock2D",) * 2, "up_block_types": ("SkipUpBlock2D",) * 2}
    module = make_unet(**blocks, block_out_channels=(32, 32), norm_num_groups=4)
    with pytest.raises(ConfigError, match="its SkipUpBlock2D passes on an image beside the hidden state; leave it out"):
        export_unet(module, dict(module.config), tmp_path / "out", step_cache=0)
    with pytest.raises(ConfigError, match="branch 2 must be from 0 to 1"):
        export_unet(make_unet(), dict(make_unet().config), tmp_path / "out", step_cache=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--step-cache", "u", "out"], "--step-cache takes a whole number from 0 on, not 'u': give --step-cache 0, or"),
        (["u", "out", "--step-cache", "last"], "not 'last'"),
        (["u", "out", "--with", "optimum", "--step-cache"], "--step-cache does not apply to --with optimum: leave out"),
    ],
)
def test_what_the_command_refuses(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, ["export", *arguments])
    assert result.exit_code == 2 or isinstance(result.exception, ConfigError)
    assert message in f"{result.output}{result.exception}"
