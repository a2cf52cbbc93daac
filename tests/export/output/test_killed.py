"""An export that was killed, or whose files were damaged in the meantime, and that is run again."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ddim_edge_export.bundle_component
from ddim_edge.errors import ConfigError
from ddim_edge_export import export_folder
from tests.export.conftest import SourceOf

from .killed_exports import without_tracing


@pytest.fixture(autouse=True)
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_into", without_tracing)


def interrupt_at(component: str) -> Callable[[str, str], None]:
    def on_stage(name: str, stage: str) -> None:
        if (name, stage) == (component, "load"):
            raise KeyboardInterrupt

    return on_stage


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="needs os.fork")
def test_an_export_killed_at_any_write_goes_on_and_gives_the_same_bytes(source_of: SourceOf, tmp_path: Path) -> None:
    arguments = [str(source_of("stable-diffusion")), str(tmp_path), "17"]
    command = [sys.executable, "-m", "tests.export.output.killed_exports", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert len(list(tmp_path.glob("killed-*"))) >= 3


@pytest.mark.parametrize("damage", [b"", b"graph"], ids=["empty", "cut short"])
def test_a_damaged_network_is_not_taken_for_done(damage: bytes, source_of: SourceOf, tmp_path: Path) -> None:
    options: dict[str, Any] = {"components": ["unet", "vae_decoder"]}
    source, out = source_of("stable-diffusion"), tmp_path / "out"
    export_folder(source, tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        export_folder(source, out, **options, on_stage=interrupt_at("vae_decoder"))
    (out / "unet" / "model.onnx").write_bytes(damage)
    with pytest.raises(ConfigError, match=r"unet/model\.onnx is not the file that was exported: .* remove .*unet"):
        export_folder(source, out, **options)


def test_what_a_killed_export_left_in_the_folder_is_removed(source_of: SourceOf, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".ddim-edge-0123456789abcdef.part").write_text('{"unfin')
    export_folder(source_of("stable-diffusion"), out, components=["unet"])
    assert not list(out.rglob("*.part"))
