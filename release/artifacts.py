"""The files of a release: sdist, wheel and their hashes."""

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import venv
from collections.abc import Sequence
from pathlib import Path

HASHES = "SHA256SUMS"
_UMASK = 0o022
"""The wheel has the permissions of the files, so they must not depend on who builds it."""


def build(source: Path, dist: Path, time: int) -> list[Path]:
    """Build the sdist, and from it the wheel, into ``dist``, without older files. Every file in them is of ``time``."""
    dist.mkdir(parents=True, exist_ok=True)
    for old in [*dist.glob("ddim_edge-*"), *dist.glob(HASHES)]:
        old.unlink()
    os.umask(_UMASK)
    for path in [source, *source.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(time)}
    command = [sys.executable, "-m", "build", "--outdir", str(dist), str(source)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    for sdist in dist.glob("*.tar.gz"):
        fix_times(sdist, time)
    return sorted(dist.glob("ddim_edge-*"))


def fix_times(sdist: Path, time: int) -> None:
    """Write an sdist again, sorted, with one time and one owner: setuptools ignores SOURCE_DATE_EPOCH there."""
    contents = io.BytesIO()
    with (
        tarfile.open(sdist) as old,
        gzip.GzipFile(filename="", fileobj=contents, mode="wb", mtime=time) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = time, 0, 0, "", ""
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    sdist.write_bytes(contents.getvalue())


def check_wheel(files: Sequence[Path], version: str, environment: Path) -> None:
    """Check the metadata of all files, install the wheel into a new environment, and run the program.

    CalledProcessError where one of these fails; ValueError where the program reports another version.
    """
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, files)], check=True)
    (wheel,) = (file for file in files if file.suffix == ".whl")
    venv.create(environment, with_pip=True)
    programs = environment / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    printed = subprocess.check_output([programs / "ddim-edge", "--version"], text=True).strip()
    if not printed.endswith(f" {version}"):
        raise ValueError(f"the installed ddim-edge --version prints {printed!r}, not {version}")


def write_hashes(dist: Path, files: Sequence[Path]) -> None:
    """Write the SHA-256 of each file, as sha256sum prints and checks them."""
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (dist / HASHES).write_text("".join(lines), encoding="utf-8")
