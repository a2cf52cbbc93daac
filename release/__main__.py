"""Builds the release of the current commit and checks it: ``python -m release``. With ``--tag`` it is tagged, too.

Nothing leaves this machine: no upload, no push. Two builds of one commit with the same tools give the same files.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from .artifacts import build, check_wheel, write_hashes
from .readiness import Commit, blockers, tag

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Run all steps. Returns 0, or 1 where something is in the way of the tag."""
    arguments = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    arguments.add_argument("--dist", type=Path, default=ROOT / "dist", help="folder for the files")
    arguments.add_argument("--tag", action="store_true", help="tag the commit, if nothing is in the way")
    options = arguments.parse_args()
    commit = Commit.current(ROOT)
    _make(commit, options.dist)
    found = blockers(commit)
    for reason in found:
        print(f"not ready: {reason}")
    if options.tag and not found:
        tag(commit)
        print(f"tagged {commit.tag}; publish it with: git push origin {commit.tag}")
    elif not found:
        print(f"ready: make release TAG=yes tags it {commit.tag}")
    return 1 if found else 0


def _make(commit: Commit, dist: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / f"ddim-edge-{commit.version}"
        commit.write_files(source)
        files = build(source, dist, commit.time)
        check_wheel(files, commit.version, Path(temporary) / "venv")
    write_hashes(dist, files)
    for file in files:
        print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"failed: {' '.join(map(str, error.cmd))}")
