"""The wheel, installed into a bare virtual environment outside the repository, makes a picture with its own model."""

import json
import os
import shlex
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
# A PYTHONPATH into the repository would show its packages to the bare environment.
BARE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

INSTALL = ["install", "--quiet", "--no-compile"]  # most modules of the packages are never imported


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this working tree."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(REPOSITORY)]
    subprocess.run(build, check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_every_package_and_the_bundled_model(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {path.relative_to(REPOSITORY) for path in (REPOSITORY / "ddim_edge").rglob("*.py")}
    assert {str(path) for path in sources} <= names
    exported = {path.relative_to(REPOSITORY / "export") for path in (REPOSITORY / "export").rglob("*.py")}
    assert {f"ddim_edge_export/{path}" for path in exported} <= names
    assert "ddim_edge_models/fashion-mnist/unet/model.onnx" in names
    assert {"ddim_edge/py.typed", "ddim_edge_main.py"} <= names
    assert "ddim_edge/serving/routes/page_source/page.html" in names
    assert {f"ddim_edge/doctor/probes/{probe}/model.onnx" for probe in ("attention", "convolution")} <= names


@pytest.fixture(scope="module")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment with the wheel and its extra ``cpu``."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment)
    subprocess.run([*pip(environment / "bin"), *INSTALL, f"{wheel}[cpu]"], check=True, env=BARE)
    return environment / "bin"


def pip(binaries: Path) -> list[str]:
    """The command of this environment's pip, for the environment of these programs: it has none of its own."""
    return [sys.executable, "-m", "pip", "--python", str(binaries / "python")]


def test_a_bare_environment_makes_a_picture(binaries: Path, tmp_path: Path) -> None:
    installed = subprocess.check_output([*pip(binaries), "list"], text=True, env=BARE)
    assert "torch" not in installed
    subprocess.run([binaries / "ddim-edge", "run", "--num-steps", "5"], check=True, cwd=tmp_path, env=BARE)
    with Image.open(tmp_path / "fashion-mnist.png") as picture:
        assert picture.size == (4 * 4 * 28, 4 * 4 * 28)  # sixteen images, enlarged four times


def test_the_server_starts_after_the_command_that_its_error_message_names(binaries: Path, tmp_path: Path) -> None:
    serve = [str(binaries / "ddim-edge"), "serve", "--port", "0"]
    refused = subprocess.run(serve, capture_output=True, text=True, cwd=tmp_path, env=BARE)
    message, found, packages = refused.stderr.partition(": pip install ")
    assert (refused.returncode, message, found) == (2, "ddim-edge: the server needs fastapi", ": pip install ")
    subprocess.run([*pip(binaries), *INSTALL, *shlex.split(packages)], check=True, cwd=tmp_path, env=BARE)
    with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=BARE) as server:
        assert server.stderr is not None
        address = server.stderr.readline().split()[-1]
        assert b"<title>ddim-edge" in urlopen(address, timeout=60).read()
        ask = Request(f"{address}/v1/images/generations", b'{"n": 2}', {"Content-Type": "application/json"})
        assert len(json.load(urlopen(ask, timeout=60))["data"]) == 2
        server.terminate()
        assert server.wait(60) == 0
