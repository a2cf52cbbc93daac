"""The wheel, installed into a bare virtual environment outside the repository, makes a picture with its own model."""

import json
import os
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


def test_a_bare_environment_makes_a_picture(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    subprocess.run([binaries / "python", "-m", "pip", "install", "--quiet", f"{wheel}[cpu]"], check=True, env=BARE)
    installed = subprocess.check_output([binaries / "python", "-m", "pip", "list"], text=True, env=BARE)
    assert "torch" not in installed
    subprocess.run([binaries / "ddim-edge", "run", "--num-steps", "5"], check=True, cwd=tmp_path, env=BARE)
    with Image.open(tmp_path / "fashion-mnist.png") as picture:
        assert picture.size == (4 * 28, 4 * 28)
    serving = subprocess.run([binaries / "ddim-edge", "serve"], capture_output=True, text=True, cwd=tmp_path, env=BARE)
    assert (serving.returncode, "pip install 'ddim-edge[serve]'" in serving.stderr) == (2, True)


def test_a_bare_environment_serves(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    subprocess.run(
        [binaries / "python", "-m", "pip", "install", "--quiet", f"{wheel}[cpu,serve]"], check=True, env=BARE
    )
    command = [str(binaries / "ddim-edge"), "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=BARE) as server:
        assert server.stderr is not None
        address = server.stderr.readline().split()[-1]
        assert b"<title>ddim-edge" in urlopen(address, timeout=60).read()
        ask = Request(f"{address}/v1/images/generations", b'{"n": 2}', {"Content-Type": "application/json"})
        assert len(json.load(urlopen(ask, timeout=60))["data"]) == 2
        server.terminate()
        assert server.wait(60) == 0
