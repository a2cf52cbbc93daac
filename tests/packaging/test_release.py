"""``make release``: what is in the way of a tag, and files that do not depend on who builds them."""

import hashlib
import subprocess
import tarfile
from pathlib import Path

import pytest

from release import artifacts
from release.readiness import Commit, blockers, tag

_DATED = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-11-29\n"


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for person in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{person}_NAME", "A")
        monkeypatch.setenv(f"GIT_{person}_EMAIL", "a@example.com")
    folder = tmp_path / "clone"
    (folder / "ddim_edge").mkdir(parents=True)
    (folder / "ddim_edge" / "version.py").write_text('__version__ = "1.2.0"\n')
    (folder / "CHANGELOG.md").write_text(_DATED)
    _git(folder, "init", "--quiet")
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_a_finished_commit_is_tagged(clone: Path) -> None:
    commit = Commit.current(clone)
    assert blockers(commit) == []
    tag(commit)
    assert _git(clone, "tag", "--list").split() == ["v1.2.0"]
    assert _git(clone, "cat-file", "-t", "v1.2.0").strip() == "tag"


def test_a_changelog_without_the_version_is_in_the_way(clone: Path) -> None:
    (clone / "CHANGELOG.md").write_text(_DATED.replace("1.2.0", "1.1.0"))
    _git(clone, "commit", "--quiet", "--all", "--message", "second")
    (reason,) = blockers(Commit.current(clone))
    assert reason.startswith("CHANGELOG.md has no section '## [1.2.0] - YYYY-MM-DD'")


def test_uncommitted_changes_and_a_tag_that_exists_are_in_the_way(clone: Path) -> None:
    tag(Commit.current(clone))
    (clone / "new.py").write_text("")
    changes, exists = blockers(Commit.current(clone))
    assert changes.startswith("there are uncommitted changes")
    assert exists.startswith("the tag v1.2.0 exists")


def test_only_what_is_committed_is_released(clone: Path, tmp_path: Path) -> None:
    (clone / "CHANGELOG.md").write_text("changed")
    (clone / "new.py").write_text("")
    Commit.current(clone).write_files(tmp_path / "files")
    assert {path.name for path in (tmp_path / "files").iterdir()} == {"CHANGELOG.md", "ddim_edge"}
    assert (tmp_path / "files" / "CHANGELOG.md").read_text() == _DATED


def test_an_sdist_does_not_depend_on_its_owner_order_and_time(tmp_path: Path) -> None:
    for name, order, owner in (("a", ("x", "y"), 0), ("b", ("y", "x"), 1000)):
        with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as archive:
            for file in order:
                member = tarfile.TarInfo(file)
                member.uid, member.mtime = owner, owner
                archive.addfile(member)
        artifacts.fix_times(tmp_path / f"{name}.tar.gz", 1_700_000_000)
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        assert [(member.name, member.mtime) for member in archive] == [("x", 1_700_000_000), ("y", 1_700_000_000)]


def test_the_hashes_are_those_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"wheel")
    artifacts.write_hashes(tmp_path, [tmp_path / "a.whl"])
    assert (tmp_path / "SHA256SUMS").read_text() == f"{hashlib.sha256(b'wheel').hexdigest()}  a.whl\n"
