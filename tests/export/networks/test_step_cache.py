"""The shallow graph of every kind of UNet, with deep features of another step, beside diffusers' own blocks."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from ddim_edge_export.step_cache import add_step_cache
from tests.helpers.exported import Exports
from tests.helpers.tiny_networks import Diffusers

Arrays = dict[str, NDArray[Any]]


@contextmanager
def given_features(network: Any, branch: int, features: torch.Tensor) -> Iterator[None]:
    """Let the outer blocks of a UNet of diffusers take ``features``, as DeepCache does."""

    def replace(_resnet: Any, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        joined, *others = arguments
        return torch.cat([features, joined[:, features.shape[1] :]], dim=1), *others

    handle = network.up_blocks[-1].resnets[-1 - branch].register_forward_pre_hook(replace)
    try:
        yield
    finally:
        handle.remove()


class Unet:
    """A family's UNet in diffusers, and its whole graph without deep features, which is copied for each branch."""

    def __init__(self, source: Path, folder: Path) -> None:
        kind = "UNet2DModel" if "latent-classes" in str(source) else "UNet2DConditionModel"
        self.network = getattr(Diffusers, kind).from_pretrained(source / "unet", local_files_only=True)
        self._folder = folder

    def sessions(self, branch: int, copy: Path) -> list[Any]:
        """The whole and the shallow graph of a branch, after the exporter's own check."""
        unet = Path(shutil.copytree(self._folder, copy))
        check = add_step_cache(unet, branch)
        assert check.error <= 1e-5
        assert 0 < check.parameters < 1
        paths = (unet / name for name in ("model.onnx", "shallow.onnx"))
        return [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in paths]

    def predict(self, inputs: Arrays) -> NDArray[np.float32]:
        """What diffusers predicts."""
        tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
        added = {name: tensors.pop(name) for name in ("text_embeds", "time_ids") if name in tensors}
        with torch.no_grad():
            output = self.network(**tensors, **({"added_cond_kwargs": added} if added else {}))
        return np.asarray(output.sample)


def drawn(session: Any, seed: int, height: int, width: int) -> Arrays:
    """Inputs of two rows at different timesteps."""
    random = np.random.default_rng(seed)
    lengths: dict[str, int] = {"height": height, "width": width, "sequence": 9}
    made: Arrays = {}
    for value in session.get_inputs():
        shape = [2, *(axis if isinstance(axis, int) else lengths[axis] for axis in value.shape[1:])]
        is_whole = value.type == "tensor(int64)"
        array = random.integers(0, 2, shape) if is_whole else random.normal(size=shape).astype(np.float32)
        made[value.name] = array
    made["timestep"] = random.choice(1000, 2, replace=False).astype(made["timestep"].dtype)
    return made


@pytest.mark.parametrize("name", ["stable-diffusion", "lcm", "sdxl", "inpainting", "latent-classes"])
def test_features_of_another_step(name: str, exports: Exports, tmp_path: Path) -> None:
    """Both branches of a family whose graph other tests need, too: tracing it takes the longest."""
    exports.export(exports.source(name), tmp_path / "bundle", ["unet"])
    unet = Unet(exports.source(name), tmp_path / "bundle" / "unet")
    for branch in (0, 1):
        whole, shallow = unet.sessions(branch, tmp_path / f"branch-{branch}")
        earlier, now = (drawn(whole, seed, 16, 12) for seed in (1, 2))
        (features,) = whole.run(["deep_features"], earlier)
        with given_features(unet.network, branch, torch.from_numpy(features)):
            expected = unet.predict(now)
        given = now | {"deep_features": features}
        (got,) = shallow.run(None, {value.name: given[value.name] for value in shallow.get_inputs()})
        np.testing.assert_allclose(got, expected, atol=1e-4 * expected.std())
        (fresh,) = whole.run(["out_sample"], now)
        assert np.abs(expected - fresh).max() > 1e-2 * expected.std()  # the features are old
