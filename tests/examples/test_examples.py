"""Every example runs from a clone and writes what it says."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ddim_edge

_EXAMPLES = Path(__file__).parents[2] / "examples"

Check = Callable[[Path], None]


def _has_size(width: int, height: int) -> Check:
    """The picture has this size, and more than one grey level."""

    def check(out: Path) -> None:
        with Image.open(out) as picture:
            assert picture.format == "PNG"
            assert picture.size == (width, height)
            assert len(np.unique(np.asarray(picture))) > 1

    return check


def _is_generated_image(out: Path) -> None:
    """The pixels are those that the docstring of ``minimal.py`` promises."""
    pipeline = ddim_edge.load("fashion-mnist", provider="cpu")
    wanted = pipeline.generate(labels=["sneaker"], sampler="ddim", num_steps=20, seed=7).images
    with Image.open(out) as picture:
        np.testing.assert_array_equal(np.asarray(picture), wanted[0, :, :, 0])


def _is_bundle(out: Path) -> None:
    """The folder is a bundle of 16x16 pixels in colour."""
    pipeline = ddim_edge.load(out, provider="cpu")
    assert pipeline.bundle.sample_shape == (3, 16, 16)
    assert pipeline.generate(num_images=1, num_steps=2).images.shape == (1, 16, 16, 3)


_CHECKS: dict[str, Check] = {
    "minimal.py": _is_generated_image,
    "generate.py": _has_size(56, 56),
    "engine_jobs.py": _has_size(56, 56),
    "samplers_alone.py": _has_size(64, 64),
    "encode_and_interpolate.py": _has_size(56, 56),
    "change_a_picture.py": _has_size(56, 56),
    "async_engine.py": _has_size(56, 28),
    "mounted_server.py": _has_size(28, 28),
    "export_a_module.py": _is_bundle,
}
_SLOW = {"encode_and_interpolate.py", "export_a_module.py"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in _SLOW)) for name in _CHECKS])
def test_example(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    command = [sys.executable, str(_EXAMPLES / name), str(out)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    _CHECKS[name](out)


def test_every_example_is_run_and_listed() -> None:
    names = {path.name for path in _EXAMPLES.glob("*.py")}
    listed = (_EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert names == set(_CHECKS)
    assert all(f"[{name}]({name})" in listed for name in names)
