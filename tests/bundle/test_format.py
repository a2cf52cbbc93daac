"""The version of the bundle format: what has none, what is refused, and what the message of the refusal says."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ddim_edge
from ddim_edge.bundle import format as bundle_format
from ddim_edge.bundle.format import FORMAT, format_keys, read_format
from ddim_edge.bundle.read import open_bundle
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import write_json

NewBundle = Callable[..., Path]


def test_an_export_without_a_number_has_format_1_and_a_folder_of_another_program_has_none(
    new_bundle: NewBundle,
) -> None:
    folder = new_bundle()
    assert open_bundle(folder).format is None
    write_json(folder / "export.json", {"source": "x", "files": {}})
    assert open_bundle(folder).format == 1
    assert open_bundle("fashion-mnist").format == 1


@pytest.mark.parametrize("number", range(1, FORMAT + 1))
def test_every_format_up_to_todays_is_read(new_bundle: NewBundle, number: int) -> None:
    folder = new_bundle()
    write_json(folder / "export.json", {**format_keys(), "format": number, "files": {}})
    assert open_bundle(folder).format == number


def test_a_newer_format_is_refused_with_the_version_that_reads_it(
    invoke: Invoke, new_bundle: NewBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_format, "__version__", "0.5.0")
    write_json(new_bundle() / "export.json", {"format": FORMAT + 1, "min_ddim_edge": "0.9.0"})
    expected = (
        f"bundle has bundle format {FORMAT + 1}, which ddim-edge 0.9.0 or newer reads; this is ddim-edge 0.5.0, which "
        f"reads formats up to {FORMAT}: upgrade ddim-edge"
    )
    for command in ("run", "inspect", "upgrade"):
        assert invoke(command, "bundle").failed_with(expected)


def test_the_number_is_read_before_all_other_files(new_bundle: NewBundle) -> None:
    """A newer format may have other files, and other types in those that are known."""
    folder = new_bundle()
    write_json(folder / "export.json", {"format": FORMAT + 1, "min_ddim_edge": "0.9", "files": ["another type"]})
    (folder / "unet" / "model.onnx").rename(folder / "unet" / "model.another")
    (folder / "unet" / "config.json").write_text("[]")
    with pytest.raises(ddim_edge.BundleError, match=r"which ddim-edge 0\.9 or newer reads"):
        open_bundle(folder)


@pytest.mark.parametrize("reader", [None, "", "soon", "1\nrm", "1 \x1b[31m"])
def test_a_newer_format_that_does_not_say_which_version_reads_it(tmp_path: Path, reader: Any) -> None:
    write_json(tmp_path / "export.json", {"format": 10**6, "min_ddim_edge": reader})
    with pytest.raises(ddim_edge.BundleError, match="format 1000000, and this ddim-edge reads formats up to") as caught:
        read_format(tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("number", [0, -1, True, 2.5, "2", [2], 10**9])
def test_what_is_no_number_of_a_format(tmp_path: Path, number: Any) -> None:
    write_json(tmp_path / "export.json", {"format": number})
    with pytest.raises(ddim_edge.BundleError, match=r"export\.json: format .*export or copy it again"):
        read_format(tmp_path)


def test_this_version_reads_what_it_writes() -> None:
    keys = format_keys()
    assert keys == {"format": FORMAT, "min_ddim_edge": bundle_format.FIRST_READER}
    first, this = (
        [int(part) for part in re.findall(r"\d+", text)[:3]] for text in (keys["min_ddim_edge"], ddim_edge.__version__)
    )
    assert first <= this


@pytest.mark.parametrize("number", [None, 1, FORMAT])
def test_inspect_says_it(invoke: Invoke, new_bundle: NewBundle, number: int | None) -> None:
    folder = new_bundle()
    if number is not None:
        write_json(folder / "export.json", {**format_keys(), "format": number, "files": {}})
    lines = {
        None: "no format number: another program exported it",
        1: f"bundle format 1; exports have {FORMAT} now",
        FORMAT: f"bundle format {FORMAT}",
    }
    assert lines[number] in invoke("inspect", "bundle").out.splitlines()
    assert json.loads(invoke("inspect", "bundle", "--json").out)["format"] == number
