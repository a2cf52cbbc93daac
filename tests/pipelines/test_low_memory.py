"""With ``low_memory`` one network is in memory at a time, and the images are the same."""

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.images.encode import read_recipe
from ddim_edge.runtime.providers.device import Device
from ddim_edge.runtime.sessions import opening
from ddim_edge.runtime.sessions.session_options import Purpose
from tests.helpers.command_line import Invoke

from .conftest import FamilyOf
from .test_editing_against_diffusers import picture


class Opened:
    """Which of ONNX Runtime's sessions were opened to be run, and how many of them were there together at most."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: what was opened until now does not count."""
        self.names: list[str] = []
        self.most = 0
        self._alive: weakref.WeakSet[Any] = weakref.WeakSet()

    def add(self, name: str, made: Any) -> None:
        self.names.append(name)
        self._alive.add(made)
        gc.collect()
        self.most = max(self.most, len(self._alive))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    watch, create = Opened(), opening._create

    def watched(path: Path, provider: Any, device: Device, purpose: Purpose, *rest: Any) -> Any:
        made = create(path, provider, device, purpose, *rest)
        if purpose is not Purpose.INSPECT:
            watch.add(path.parent.name, made)
        return made

    monkeypatch.setattr(opening, "_create", watched)
    return watch


ORIGINS = {"noise": None, "an image": ddim_edge.Origin(image=picture() * 2 - 1)}


@pytest.mark.parametrize("name", ["stable-diffusion", "sdxl"])
@pytest.mark.parametrize("origin", ORIGINS)
def test_one_at_a_time_and_the_same_images(name: str, origin: str, family_of: FamilyOf, opened: Opened) -> None:
    family = family_of(name)
    options: dict[str, Any] = {"prompt": ["a cab", "b"], "num_steps": 4, "origin": ORIGINS[origin]}
    wanted = family.pipeline.generate(**options)
    opened.forget()
    found = ddim_edge.load(family.bundle, "cpu", low_memory=True).generate(**options)
    np.testing.assert_array_equal(found.images, wanted.images)
    assert found.recipe == {**wanted.recipe, "model": found.recipe["model"]}
    texts = ["text_encoder", "text_encoder_2"] if name == "sdxl" else ["text_encoder"]
    assert opened.names[-1] == "vae_decoder"
    assert set(opened.names) >= {*texts, "unet"}
    assert opened.most == 1


def test_a_network_is_opened_once_a_batch_and_no_text_twice(family_of: FamilyOf, opened: Opened) -> None:
    bundle = family_of("stable-diffusion").bundle
    opened.forget()
    pipeline = ddim_edge.load(bundle, "cpu", low_memory=True)
    assert opened.names == []
    pipeline.generate(prompt="a", num_images=4, batch_size=2, num_steps=3)
    assert opened.names == ["text_encoder", "unet", "vae_decoder", "unet", "vae_decoder"]


def test_a_graph_that_cannot_be_opened_is_named_at_once(family_of: FamilyOf, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    for part in family_of("stable-diffusion").bundle.rglob("*"):
        if part.is_file():
            copy = bundle / part.relative_to(family_of("stable-diffusion").bundle)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(part.read_bytes()[: 1000 if part.match("vae_decoder/model.onnx") else None])
    with pytest.raises(ddim_edge.BundleError, match=r"vae_decoder.model.onnx is not an ONNX graph"):
        ddim_edge.load(bundle, "cpu", low_memory=True)


def test_on_the_command_line(family_of: FamilyOf, invoke: Invoke, opened: Opened, tmp_path: Path) -> None:
    options = ["run", family_of("stable-diffusion").bundle, "--prompt", "a", "-s", 1]
    opened.forget()
    assert invoke(*options, "--low-memory", "-o", "low.png").code == 0
    assert opened.most == 1
    assert invoke(*options, "-o", "high.png").code == 0
    assert read_recipe(tmp_path / "low.png") == read_recipe(tmp_path / "high.png")
    assert (tmp_path / "low.png").read_bytes() == (tmp_path / "high.png").read_bytes()
