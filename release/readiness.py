"""What is released: a commit, its version, and what is in the way of its tag."""

import io
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Commit:
    """The commit that is checked out in ``root``."""

    root: Path
    name: str
    """Its hash."""
    time: int
    """When it was made, in seconds since 1970."""
    version: str
    changelog: str

    @classmethod
    def current(cls, root: Path) -> "Commit":
        """Read it. CalledProcessError where ``root`` is no clone."""
        name, time = _git(root, "log", "-1", "--format=%H %ct").split()
        found = re.search(r'^__version__ = "(.+)"$', _git(root, "show", "HEAD:ddim_edge/version.py"), re.MULTILINE)
        if found is None:
            raise ValueError("ddim_edge/version.py has no line __version__ = ...")
        changelog = _git(root, "show", "HEAD:CHANGELOG.md")
        return cls(root=root, name=name, time=int(time), version=found[1], changelog=changelog)

    @property
    def tag(self) -> str:
        """The name of its tag."""
        return f"v{self.version}"

    def write_files(self, folder: Path) -> None:
        """Write its files to the new ``folder``: what is not committed is not released."""
        done = subprocess.run(["git", "archive", self.name], cwd=self.root, check=True, stdout=subprocess.PIPE)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")


def blockers(commit: Commit) -> list[str]:
    """Why the commit cannot be tagged; empty where it can."""
    found = []
    if _git(commit.root, "status", "--porcelain").strip():
        found.append("there are uncommitted changes, which are not in these files: commit or stash them")
    if re.search(rf"^## \[{re.escape(commit.version)}\] - \d{{4}}-\d\d-\d\d$", commit.changelog, re.MULTILINE) is None:
        heading = f"## [{commit.version}] - YYYY-MM-DD"
        found.append(f"CHANGELOG.md has no section '{heading}': put it below '## [Unreleased]'")
    if _git(commit.root, "tag", "--list", commit.tag).strip():
        found.append(f"the tag {commit.tag} exists: raise __version__ in ddim_edge/version.py")
    return found


def tag(commit: Commit) -> None:
    """Tag the commit. The tag is not pushed."""
    _git(commit.root, "tag", "--annotate", commit.tag, commit.name, "--message", f"ddim-edge {commit.version}")


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
