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


class Pair:
    """A family's UNet in diffusers, and its whole and shallow graph for a branch."""

    def __init__(self, source: Path, unet: Path, branch: int) -> None:
        kind = "UNet2DModel" if "latent-classes" in str(source) else "UNet2DConditionModel"
        self.network = getattr(Diffusers, kind).from_pretrained(source / "unet", local_files_only=True)
        self.branch, self.check = branch, add_step_cache(unet, branch)
        self.whole, self.shallow = (
            onnxruntime.InferenceSession(unet / name, providers=["CPUExecutionProvider"])
            for name in ("model.onnx", "shallow.onnx")
        )

    def draw(self, seed: int, height: int, width: int) -> Arrays:
        """Inputs of two rows at different timesteps."""
        random = np.random.default_rng(seed)
        lengths: dict[str, int] = {"height": height, "width": width, "sequence": 9}
        drawn: Arrays = {}
        for value in self.whole.get_inputs():
            shape = [2, *(axis if isinstance(axis, int) else lengths[axis] for axis in value.shape[1:])]
            is_whole = value.type == "tensor(int64)"
            drawn[value.name] = random.integers(0, 2, shape) if is_whole else random.normal(size=shape)
        drawn["timestep"] = random.choice(1000, 2, replace=False).astype(drawn["timestep"].dtype)
        return {name: array if array.dtype == np.int64 else array.astype(np.float32) for name, array in drawn.items()}

    def torch_prediction(self, inputs: Arrays) -> NDArray[np.float32]:
        """What diffusers predicts."""
        tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
        added = {name: tensors.pop(name) for name in ("text_embeds", "time_ids") if name in tensors}
        with torch.no_grad():
            output = self.network(**tensors, **({"added_cond_kwargs": added} if added else {}))
        return np.asarray(output.sample)


@pytest.mark.parametrize("branch", [0, 1])
@pytest.mark.parametrize("name", ["stable-diffusion", "lcm", "sdxl", "latent-classes"])
def test_features_of_another_step(name: str, branch: int, exports: Exports, tmp_path: Path) -> None:
    exports.export(exports.source(name), tmp_path / "bundle", ["unet"])
    unet = Path(shutil.copytree(tmp_path / "bundle" / "unet", tmp_path / "unet"))
    pair = Pair(exports.source(name), unet, branch)
    earlier, now = (pair.draw(seed, 16, 12) for seed in (1, 2))
    prediction, features = pair.whole.run(["out_sample", "deep_features"], earlier)
    np.testing.assert_allclose(prediction, pair.torch_prediction(earlier), atol=1e-4 * prediction.std())

    with given_features(pair.network, branch, torch.from_numpy(features)):
        expected = pair.torch_prediction(now)
    given = now | {"deep_features": features}
    (got,) = pair.shallow.run(None, {value.name: given[value.name] for value in pair.shallow.get_inputs()})
    np.testing.assert_allclose(got, expected, atol=1e-4 * expected.std())
    assert np.abs(expected - pair.torch_prediction(now)).max() > 1e-2 * expected.std()  # the features are old
    assert pair.check.error <= 1e-5
    assert 0 < pair.check.parameters < 1
