"""IP-Adapters beside diffusers: each kind, several at once, SDXL's; with no image; different images in one call."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import ddim_edge
from ddim_edge.networks.image_prompts import ImagePromptEncoder
from tests.helpers.closeness import keep
from tests.helpers.command_line import Invoke
from tests.helpers.exported import Exports

from .conftest import Family, adapted_family
from .recording import check_alike, recording
from .test_families_against_diffusers import PROMPT, SEED, generator

pytestmark = pytest.mark.slow  # two networks are traced with adapters

KINDS = ("basic", "full", "plus")
"""In the order of the files."""
SCALES = [0.7, 0.3, 0.5]


def pixels(seed: int, height: int = 20, width: int = 30) -> NDArray[np.uint8]:
    """A picture of noise, which every crop and every filter changes."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


PICTURES = [pixels(0), pixels(1, 41, 17), pixels(2, 8, 8)]


@pytest.fixture(scope="session")
def adapted(exports: Exports) -> Family:
    """Stable Diffusion 1 with three adapters."""
    return _family(exports, "ip-adapters")


def _family(exports: Exports, name: str) -> Family:
    bundle = exports.adapted(name)
    return Family(exports.source(name), bundle, ddim_edge.load(bundle, "cpu"))


def _theirs(family: Family, kinds: tuple[str, ...], scales: list[float]) -> Any:
    pipeline = family.diffusers()
    folder = family.source / "ip_adapters"
    names = [f"{kind}.safetensors" for kind in kinds]
    pipeline.load_ip_adapter(str(folder), subfolder="", weight_name=names, image_encoder_folder="image_encoder")
    pipeline.set_ip_adapter_scale(scales)
    return pipeline


def _check(family: Family, kinds: tuple[str, ...], pictures: list[NDArray[np.uint8]], scale: float) -> None:
    scales = SCALES[: len(kinds)]
    pipeline = _theirs(family, kinds, scales)
    same: dict[str, Any] = {"prompt": PROMPT, "guidance_scale": scale}
    theirs: dict[str, Any] = {"num_inference_steps": 3, "ip_adapter_image": [*map(Image.fromarray, pictures)]}
    with recording(pipeline, scale) as record:
        picture = pipeline(**same, **theirs, generator=generator(), output_type="np").images[0]
    ours: dict[str, Any] = {"num_steps": 3, "seed": SEED, "ip_adapter_images": pictures, "ip_adapter_scale": scales}
    keep(family.title, check_alike(family.pipeline, family.pipeline.request(**same, **ours), record))
    image = family.pipeline.generate(**same, **ours).images[0]
    assert np.abs(image - np.round(picture * 255)).max() <= 1


@pytest.mark.parametrize("scale", [4.0, 1.0])
def test_three_adapters_at_once(scale: float, adapted: Family) -> None:
    _check(adapted, KINDS, PICTURES, scale)


def test_sdxl(exports: Exports) -> None:
    _check(adapted_family(exports, "sdxl-ip-adapter"), ("plus",), PICTURES[:1], 5.0)


def test_without_an_image_it_is_the_model_without_adapters(adapted: Family) -> None:
    pipeline, options = adapted.diffusers(), {"prompt": PROMPT, "guidance_scale": 4.0}
    picture = pipeline(**options, num_inference_steps=3, generator=generator(), output_type="np").images[0]
    ours: dict[str, Any] = {**options, "num_steps": 3, "seed": SEED}
    without = adapted.pipeline.generate(**ours).images[0]
    assert np.abs(without - np.round(picture * 255)).max() <= 1
    at_zero = adapted.pipeline.generate(**ours, ip_adapter_images=PICTURES, ip_adapter_scale=0).images[0]
    np.testing.assert_array_equal(at_zero, without)
    with_images = adapted.pipeline.generate(**ours, ip_adapter_images=PICTURES).images[0]
    assert np.abs(with_images.astype(int) - without).max() > 10


def test_different_images_scales_and_none_share_calls(adapted: Family) -> None:
    pipeline, calls = adapted.pipeline, list[int]()
    options: dict[str, Any] = {"prompt": PROMPT, "guidance_scale": 4.0, "num_steps": 3}
    requests = [
        pipeline.request(**options, ip_adapter_images=PICTURES, ip_adapter_scale=SCALES),
        pipeline.request(**options, ip_adapter_images=PICTURES[::-1], ip_adapter_scale=1.3),
        pipeline.request(**options),
    ]
    alone = [pipeline.generate(**_options(request)).images[0] for request in requests]
    before, pipeline.denoiser.on_call = pipeline.denoiser.on_call, lambda rows, _seconds: calls.append(rows)
    try:
        made = dict(pipeline.generate_many(requests, max_rows=6))
    finally:
        pipeline.denoiser.on_call = before
    assert calls == [6, 6, 6]
    for index, image in enumerate(alone):
        assert np.abs(made[index].image.astype(int) - image).max() <= 1


def _options(request: ddim_edge.Request) -> dict[str, Any]:
    origin = request.origin
    images = {"origin": origin, "ip_adapter_scale": list(request.ip_adapter_scale)} if origin else {}
    return {"prompt": PROMPT, "guidance_scale": 4.0, "num_steps": 3, **images}


def test_an_image_is_encoded_once(adapted: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, runs = ddim_edge.load(adapted.bundle, "cpu"), list[str]()
    opened: Callable[..., Any] = ImagePromptEncoder._opened
    monkeypatch.setattr(ImagePromptEncoder, "_opened", lambda encoder: _counting(opened(encoder), runs))
    options: dict[str, Any] = {"prompt": PROMPT, "num_steps": 1, "ip_adapter_images": PICTURES}
    pipeline.generate(**options, num_images=3)
    pipeline.generate(**options, seed=7)
    assert len(runs) == len(PICTURES)


def _counting(session: Any, runs: list[str]) -> Any:
    run = session.run

    def counted(feeds: Any) -> Any:
        runs.append(session.name)
        return run(feeds)

    session.run = counted
    return session


def test_the_command_line(adapted: Family, invoke: Invoke, tmp_path: Path) -> None:
    for index, picture in enumerate(PICTURES):
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    images = [part for index in range(3) for part in ("--ip-adapter-image", f"{index}.png")]
    options = ["--prompt", PROMPT, "-s", 2, "-g", 3, *images, "--ip-adapter-scale", 0.5]
    assert invoke("run", adapted.bundle, *options, "-o", "one.png").code == 0
    wanted = adapted.pipeline.generate(
        prompt=PROMPT, num_steps=2, guidance_scale=3, ip_adapter_images=PICTURES, ip_adapter_scale=0.5
    )
    with Image.open(tmp_path / "one.png") as image:
        np.testing.assert_array_equal(np.asarray(image), wanted.images[0])
    assert wanted.recipe["ip_adapter_scale"] == [0.5] * 3
    assert invoke("run", "--from-image", "one.png", *images, "-o", "two.png").code == 0
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert invoke("run", "--from-image", "one.png").failed_with("made from ip_adapter_image", "give it, too")
    (tmp_path / "rows.jsonl").write_text(
        json.dumps({"prompt": PROMPT, "ip_adapter_images": ["0.png", "1.png", "2.png"], "ip_adapter_scale": 0.5})
    )
    assert invoke("run", adapted.bundle, "--requests", "rows.jsonl", "-s", 2, "-g", 3, "-o", "rows/").code == 0
    with Image.open(tmp_path / "rows" / "000000.png") as image:
        np.testing.assert_array_equal(np.asarray(image), wanted.images[0])


def test_bad_input(adapted: Family, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is one line, before a network is opened."""
    monkeypatch.setattr("ddim_edge.cli.run.Pipeline", None)
    Image.fromarray(PICTURES[0]).save(tmp_path / "0.png")
    (tmp_path / "text.png").write_text("no picture")
    run = ("run", adapted.bundle, "--prompt", "a")
    one = ("--ip-adapter-image", "0.png")
    assert invoke(*run, *one).failed_with("has 3 IP-Adapters (basic, full, plus)", "or none; given: 1")
    assert invoke(*run, "--ip-adapter-scale", 1).failed_with("needs an image", "--ip-adapter-image")
    assert invoke(*run, *one * 3, *("--ip-adapter-scale", 1) * 2).failed_with("ip_adapter_scale has 2 numbers")
    assert invoke(*run, *one * 3, "--ip-adapter-scale", -1).failed_with("ip_adapter_scale must be a number")
    assert invoke(*run, *one * 2, "--ip-adapter-image", "gone.png").failed_with("gone.png")
    assert invoke(*run, *one * 2, "--ip-adapter-image", "text.png").failed_with("text.png")
    assert invoke("run", *one).failed_with("fashion-mnist has no IP-Adapter", "export it with --ip-adapter")


def test_arrays_that_do_not_fit(adapted: Family) -> None:
    request = adapted.pipeline.request(prompt="a", ip_adapter_images=PICTURES)
    assert request.origin is not None
    wrong = dataclasses.replace(request.origin, ip_adapter_images=(np.zeros((1, 3, 9, 9), np.float32),) * 3)
    with pytest.raises(ddim_edge.ConfigError, match=r"ip_adapter_image has the shape .*needs \(N, \(3, 8, 8\)\)"):
        adapted.pipeline.request(prompt="a", origin=wrong)
    with pytest.raises(ddim_edge.ConfigError, match=r"must be uint8 \(H, W, 3\)"):
        adapted.pipeline.request(prompt="a", ip_adapter_images=[np.zeros((4, 4), np.uint8)] * 3)
