"""A folder is there whole or not at all."""

from pathlib import Path

import pytest

from ddim_edge.errors import ConfigError, OutputError
from ddim_edge.whole_folder import whole_folder


def test_it_appears_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with whole_folder(out) as folder:
        (folder / "file").write_text("contents")
        assert not out.exists()
        assert folder.stat().st_dev == tmp_path.stat().st_dev
    assert (out / "file").read_text() == "contents"
    assert list(tmp_path.iterdir()) == [out]
    # A temporary folder is closed to others; this one must not be.
    (tmp_path / "plain").mkdir()
    assert out.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_empty_folder_is_taken_over(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with whole_folder(out) as folder:
        (folder / "file").write_text("contents")
    assert (out / "file").read_text() == "contents"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    def fail() -> None:
        with whole_folder(tmp_path / "out") as folder:
            (folder / "file").write_text("contents")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_came_in_the_meantime_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def collide() -> None:
        with whole_folder(out) as folder:
            (folder / "file").write_text("ours")
            out.mkdir()
            (out / "file").write_text("theirs")

    with pytest.raises(OutputError, match=r"cannot write .*out"):
        collide()
    assert (out / "file").read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [out]


def test_a_missing_folder_is_created_and_a_file_is_no_folder(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "no" / "out") as folder:
        (folder / "a").touch()
    assert (tmp_path / "no" / "out" / "a").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is not a folder"), whole_folder(tmp_path / "file"):
        pytest.fail("there is a file in the way")
    with pytest.raises(OutputError, match="cannot write beside"), whole_folder(tmp_path / "file" / "out"):
        pytest.fail("there is a file in the way")
