"""The CPU image, built and run by buildah without a registry: ``deploy/docker/without-registry.sh``.

It takes some minutes and Debian's mirrors, so it runs with ``make test-deploy`` only, as root, where buildah is.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY
from tests.helpers.command_line import Invoke

MOST_BYTES = 400_000_000
PROGRAMS = ("buildah", "debootstrap", "dpkg")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("DDIM_EDGE_DEPLOY_TOOLS" not in os.environ, reason="make test-deploy runs this"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason=f"needs {', '.join(PROGRAMS)}"),
]

Buildah = Callable[..., str]


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """Buildah's commands on the storage that has the image."""
    work = tmp_path_factory.mktemp("image")
    environment = {**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}

    def call(*arguments: str) -> str:
        command = ["buildah", "--root", f"{work}/storage", "--runroot", f"{work}/runroot", *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=300).stdout

    try:
        subprocess.run([DEPLOY / "docker/without-registry.sh", work], check=True, capture_output=True, timeout=1200)
        yield call
    finally:
        _unmount(work)


def _unmount(work: Path) -> None:
    """Unmount what Buildah has mounted: pytest could not remove the folder, and would warn in every later run."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    mounted = [line.split()[1] for line in lines if line.split()[1].startswith(f"{work}/")]
    if mounted:
        subprocess.run(["umount", *reversed(mounted)], check=True)


@pytest.fixture(scope="module")
def container(buildah: Buildah) -> str:
    """A container of the image."""
    return buildah("from", "localhost/ddim-edge:cpu").strip()


def test_the_image_is_small(buildah: Buildah) -> None:
    layers = Path(buildah("mount", buildah("from", "localhost/ddim-edge:cpu").strip()).strip())
    files = (path.lstat() for path in layers.rglob("*") if not path.is_symlink() and path.is_file())
    assert sum(each.st_size for each in files) < MOST_BYTES


def test_the_image_runs_as_a_user_without_rights(buildah: Buildah, container: str) -> None:
    assert buildah("run", container, "--", "python", "-c", "import os; print(os.getuid())").strip() == "65532"
    config = json.loads(buildah("inspect", "--type", "image", "localhost/ddim-edge:cpu"))["Docker"]["config"]
    assert config["User"] == "65532:65532"
    assert "/health/ready" in " ".join(config["Healthcheck"]["Test"])


def test_the_image_has_no_build_tools(buildah: Buildah, container: str) -> None:
    root = Path(buildah("mount", container).strip())
    names = {path.name for folder in ("bin", "usr/bin", "opt/ddim-edge/bin") for path in root.glob(f"{folder}/*")}
    assert "python3" in names
    assert names.isdisjoint({"sh", "bash", "apt-get", "dpkg", "gcc", "pip", "pip3"})


def test_the_image_makes_the_same_image_as_this_machine(
    buildah: Buildah, container: str, invoke: Invoke, tmp_path: Path
) -> None:
    buildah("run", container, "--", "ddim-edge", "run", "--seed", "7", "--output", "/images/seven.png")
    assert invoke("run", "--seed", 7, "--output", tmp_path / "seven.png").code == 0
    made = Path(buildah("mount", container).strip()) / "images/seven.png"
    assert made.read_bytes() == (tmp_path / "seven.png").read_bytes()
