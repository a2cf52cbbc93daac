"""``ddim-edge run`` into a store and into tar files: the same images as in a folder; bad input before a model opens."""

import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from ddim_edge.generation.pipeline import Pipeline
from tests.helpers.command_line import Invoke

OPTIONS = ["-s", 2, "-n", 7, "-b", 2, "--seed", 5]
TARS = ["--archive", "webdataset", "--images-per-tar", 4]


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _stored(url: str) -> dict[str, bytes]:
    system, root = fsspec.core.url_to_fs(url)
    return {path.rpartition("/")[2]: system.cat_file(path) for path in system.ls(root, detail=False)}


@pytest.mark.parametrize("archive", [[], TARS])
def test_a_store_gets_what_a_folder_gets(invoke: Invoke, tmp_path: Path, tiny_bundle: Path, archive: list[str]) -> None:
    url = f"memory://run-test-{len(archive)}/images/"
    options = [*OPTIONS, *archive]
    assert invoke("run", tiny_bundle, *options, "-o", "images/").code == 0
    made = invoke("run", tiny_bundle, *options, "-o", url)
    assert made.code == 0
    assert made.out.startswith(f"{url}  (7 images")
    assert _stored(url) == _contents(tmp_path / "images")
    system, root = fsspec.core.url_to_fs(url)
    system.rm_file(f"{root}/000001.{'tar' if archive else 'png'}")
    assert invoke("run", tiny_bundle, *options, "-o", url).code == 0
    assert _stored(url) == _contents(tmp_path / "images")


def test_a_store_with_another_run_is_replaced_on_purpose_only(invoke: Invoke, tiny_bundle: Path) -> None:
    url, other = "memory://replaced/images/", "memory://replaced/other/"
    assert invoke("run", tiny_bundle, *OPTIONS, "--format", "npy", "-o", url).code == 0
    before = _stored(url)
    command = ("run", tiny_bundle, *OPTIONS, "-n", 3, "--format", "npy", "--eta", 1, "-o")
    assert invoke(*command, url).failed_with("holds the images of another run")
    assert _stored(url) == before
    assert invoke(*command, url, "--force").code == 0
    assert invoke(*command, other).code == 0
    assert _stored(url) == _stored(other)


def test_tars_of_another_run_are_replaced_on_purpose_only(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    command = ("run", tiny_bundle, *OPTIONS, *TARS, "-o")
    assert invoke(*command, "one/").code == 0
    (tmp_path / "one" / "000002.tar").write_text("mine")
    assert invoke(*command, "one/", "--eta", 1, "-n", 4).failed_with("holds the images of another run")
    assert invoke(*command, "one/", "--eta", 1, "-n", 4, "--force").code == 0
    assert invoke(*command, "two/", "--eta", 1, "-n", 4).code == 0
    assert _contents(tmp_path / "one") == {**_contents(tmp_path / "two"), "000002.tar": b"mine"}


def test_a_file_url_is_a_folder_here(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, *OPTIONS, "-o", "one/").code == 0
    assert invoke("run", tiny_bundle, *OPTIONS, "-o", f"{(tmp_path / 'two').as_uri()}/").code == 0
    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")


def test_shards_of_an_archive_are_whole_tars(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, *OPTIONS, *TARS, "-o", "one/").code == 0
    for number, there in enumerate([["000000.tar"], ["000000.tar", "000001.tar"]]):
        assert invoke("run", tiny_bundle, *OPTIONS, *TARS, "-o", "two/", "--shard", f"{number}/2").code == 0
        assert sorted(path.name for path in (tmp_path / "two").glob("*.tar")) == there
    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "s3://bucket/images"], "--output as a URL names a folder: end it in /"),
        (["-o", "ftp://host/images/"], "the scheme of the URL 'ftp' is unknown"),
        (["-o", "s3://name:hunter2@bucket/images/"], "give passwords, keys and the store's address"),
        (["-o", "s3://bucket/images/"], "cannot write to s3://bucket/images/: Could not connect"),
        (["-o", "gs://bucket/images/"], "pip install gcsfs"),
        ([*TARS, "-o", "one.png"], "--archive writes tar files to a folder"),
        ([*TARS, "-o", "images/", "--save-every", "1"], "--save-every writes single files"),
        (["--images-per-tar", "0", "-o", "images/"], "--images-per-tar must be at least 1"),
    ],
)
def test_bad_input_is_one_line_before_a_model_is_opened(
    invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], words: str
) -> None:
    monkeypatch.setattr(Pipeline, "__init__", lambda *_arguments, **_options: pytest.fail("a model was opened"))
    unreachable = {
        "endpoint_url": "http://127.0.0.1:9",
        "key": "k",
        "secret": "s",
        "config_kwargs": {"retries": {"total_max_attempts": 1}},
    }
    monkeypatch.setitem(fsspec.config.conf, "s3", unreachable)
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    outcome = invoke("run", tiny_bundle, *OPTIONS, *options)
    assert outcome.failed_with(words)
    assert "hunter2" not in outcome.err


def test_fsspec_is_imported_for_a_url_only(tiny_bundle: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom ddim_edge.cli import main\n"
        "try: main(sys.argv[1:])\nfinally: assert not {'fsspec', 's3fs'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, "run", str(tiny_bundle), "-n", "1", "-s", "1", "-o", "images/"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize(("file_format", "name"), [("jpeg", "x.png"), ("png", "x.jpg"), ("webp", "x.npy")])
def test_a_format_that_contradicts_the_files_name(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, file_format: str, name: str
) -> None:
    failed = invoke("run", tiny_bundle, "-s", 1, "-n", 1, "--format", file_format, "-o", name)
    assert failed.failed_with(f"--format {file_format} contradicts the name {name}: the name of a file chooses")
    assert not (tmp_path / name).exists()


def test_a_format_that_is_also_the_files(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, "-s", 1, "-n", 1, "--format", "jpeg", "-o", "x.jpg").code == 0
    assert (tmp_path / "x.jpg").read_bytes()[:2] == b"\xff\xd8"
