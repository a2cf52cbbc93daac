"""Adapters in the slots of a bundle: converted, chosen by a request, shared by a batch; NumPy is the oracle."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.errors import BundleError, ConfigError
from ddim_edge.generation.requests.loras import active
from ddim_edge.generation.requests.request import Request
from ddim_edge.lora.adapter import used_lora
from ddim_edge.networks.lora_groups import groups_of
from ddim_edge.networks.row import Row
from tests.helpers.command_line import Invoke
from tests.helpers.lora_bundles import changes_of, prediction, product, with_changes
from tests.helpers.tiny_bundles import Array
from tests.lora.conftest import Matrices, WriteLora

A, B = changes_of(1, 2), changes_of(2, 4, ("wide",))
SAMPLE = np.random.default_rng(9).standard_normal((1, 3, 4, 4)).astype(np.float32)


@pytest.fixture
def both(bundle: Path, write_lora: WriteLora, invoke: Invoke) -> Path:
    """The bundle with the adapters a and b."""
    for name, matrices in (("a", A), ("b", B)):
        assert invoke("lora", write_lora(name, matrices), bundle).code == 0
    return bundle


def summed(*parts: tuple[Matrices, float]) -> dict[str, Array]:
    """The weights with several LoRAs of ``write_lora`` at their scales, whose alpha/rank is 2."""
    changes: dict[str, Any] = {}
    for matrices, scale in parts:
        for layer, pair in matrices.items():
            changes[layer] = changes.get(layer, 0) + np.float32(2 * scale) * product(pair)
    return with_changes(changes)


def row(bundle: Path, **scales: float) -> Row:
    loras = tuple(used_lora(bundle, name, scale) for name, scale in scales.items())
    return Row(SAMPLE, 3.0, {}, None, 1.0, loras=loras)


def test_each_row_of_a_batch_has_its_own_adapters(both: Path) -> None:
    denoiser = ddim_edge.load(both, "cpu").denoiser
    rows = [row(both), row(both, a=0.7), row(both, b=-1.5), row(both, a=0.25, b=2.0), row(both, a=0.7)]
    weights = [summed(), summed((A, 0.7)), summed((B, -1.5)), summed((A, 0.25), (B, 2.0)), summed((A, 0.7))]
    expected = np.concatenate([prediction(SAMPLE, 3.0, each) for each in weights])
    assert np.abs(expected[1:] - expected[0]).max() > 0.1
    np.testing.assert_allclose(denoiser.predict(rows), expected, rtol=0, atol=1e-5)
    calls: list[int] = []
    denoiser.on_call = lambda rows, _seconds: calls.append(rows)
    for most, sizes in ((None, [1, 2, 1, 1]), (2, [5])):
        denoiser._most_adapters = most
        calls.clear()
        np.testing.assert_allclose(denoiser.predict(rows), expected, rtol=0, atol=1e-5)
        assert calls == sizes


def test_rows_share_a_call_up_to_the_slots(both: Path) -> None:
    rows = [row(both, a=1.0), row(both), row(both, b=1.0), row(both, b=2.0)]
    assert groups_of(rows, None) == [[0], [1], [2, 3]]
    assert groups_of(rows, 1) == [[0, 1], [2, 3]]
    assert groups_of(rows, 2) == [[0, 1, 2, 3]]


def test_requests_with_different_loras_are_made_together_as_alone(both: Path) -> None:
    pipeline = ddim_edge.load(both, "cpu")
    choices: list[dict[str, float]] = [{}, {"a": 0.5}, {"b": 1.0}, {"a": 0.5, "b": 1.0}]
    requests = [pipeline.request(num_images=1, num_steps=3, seed=4, loras=loras) for loras in choices]
    alone = [pipeline.generate(num_images=1, num_steps=3, seed=4, loras=loras).samples for loras in choices]
    together = dict(pipeline.generate_many(requests, max_rows=8))
    for position, samples in enumerate(alone):
        np.testing.assert_allclose(together[position].sample, samples[0], rtol=0, atol=1e-5)
    assert len({samples.tobytes() for samples in alone}) == 4


def test_the_recipe_has_the_adapters_and_makes_the_samples_again(both: Path, invoke: Invoke) -> None:
    run = ("run", both, "-n", 2, "--steps", 3, "--lora", "a:0.5", "--lora", "b")
    assert invoke(*run, "--output", "first.npz").code == 0
    assert invoke("run", both, "--from-image", "first.npz", "--output", "again.npz").code == 0
    first, again = np.load("first.npz"), np.load("again.npz")
    for name in first.files:
        np.testing.assert_array_equal(first[name], again[name])
    pipeline = ddim_edge.load(both, "cpu")
    request = pipeline.request(num_images=1, loras=["a:0.5"])
    recipe = pipeline.recipe(request)
    assert [(entry["name"], entry["scale"]) for entry in recipe["loras"]] == [("a", 0.5)]
    assert Request.from_json(recipe) == request


def test_an_adapter_that_was_replaced_is_noticed(both: Path, write_lora: WriteLora, invoke: Invoke) -> None:
    pipeline = ddim_edge.load(both, "cpu")
    request = pipeline.request(num_images=1, num_steps=2, loras={"a": 1.0})
    before = pipeline.generate(num_images=1, num_steps=2, loras={"a": 1.0}).samples
    assert invoke("lora", write_lora("other", B), both, "--name", "a").code == 0
    with pytest.raises(ConfigError, match=r"the LoRA a of .* is another one than it was"):
        pipeline.check(request)
    after = pipeline.generate(num_images=1, num_steps=2, loras={"a": 1.0}).samples
    assert np.abs(before - after).max() > 1e-3


def test_a_scale_of_zero_is_no_adapter(both: Path) -> None:
    pipeline = ddim_edge.load(both, "cpu")
    assert active(pipeline.request(loras={"a": 0}).loras) == ()


def test_the_command_says_what_it_added(bundle: Path, write_lora: WriteLora, invoke: Invoke) -> None:
    outcome = invoke("lora", write_lora("style", B), bundle)
    assert outcome.out == (
        f"{bundle}/loras/style.safetensors: rank 4, 1 layers, 0.0 MB; "
        f"use it with `ddim-edge run {bundle} --lora style:1`\n"
    )


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--lora", "c"], ["LoRA of slots 'c' is unknown", "Valid: a, b"]),
        (["--lora", "a:x"], ["a LoRA's name has letters, digits and _.-"]),
        (["--lora", "a:nan"], ["the scale of 'a:nan' must be a number from -1000 to 1000"]),
        (["--lora", "a", "--lora", "a:2"], ["the LoRA 'a' is there twice"]),
        (["--lora", "a", "--lora", "b", "--lora", "c"], ["has 2 LoRA slots, and 3 LoRAs are given"]),
    ],
)
def test_bad_choices(options: list[str], parts: list[str], both: Path, invoke: Invoke) -> None:
    assert invoke("run", both, *options).failed_with(*parts)


def test_a_model_without_slots(invoke: Invoke, write_lora: WriteLora) -> None:
    assert invoke("run", "--lora", "a").failed_with("fashion-mnist has no LoRA slots: export it with --lora-slots")
    assert invoke("lora", write_lora("a", A), "fashion-mnist").failed_with("has no LoRA slots", "--fuse OUT")


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        (changes_of(0, 5), "has rank 5, and the slots of .* take up to 4: export it with --lora-rank 5"),
        ({"other": A["wide"]}, "1 keys match no layer of the unet, 'other' .* may be of another base model"),
        ({"wide": A["back"]}, r"does not fit unet\.wide, which is \(5, 3\)\. It may be of another base model"),
    ],
)
def test_a_lora_that_does_not_fit(
    matrices: Matrices, message: str, bundle: Path, write_lora: WriteLora, invoke: Invoke
) -> None:
    outcome = invoke("lora", write_lora("style", matrices), bundle)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert re.search(message, outcome.err)
    assert not (bundle / "loras").exists()


def test_an_adapter_of_another_bundle(both: Path) -> None:
    adapter = both / "loras" / "a.safetensors"
    adapter.write_bytes(adapter.read_bytes().replace(b"lora_up.wide", b"lora_up.wild"))
    with pytest.raises(BundleError, match=r"lora_up\.wild' is .* and this bundle takes no such input"):
        ddim_edge.load(both, "cpu").request(loras={"a": 1})


def test_a_scale_belongs_to_the_run(bundle: Path, write_lora: WriteLora, invoke: Invoke) -> None:
    path = write_lora("style", B)
    assert invoke("lora", f"{path}:0.5", bundle).failed_with("a LoRA's scale is given where it is used")


def test_inspect_names_the_loras_and_not_every_matrix(both: Path, invoke: Invoke) -> None:
    shown = invoke("inspect", both).out
    assert "2 LoRA slots of rank up to 4\nLoRA a  rank 2, 0.0 MB, from a.safetensors\nLoRA b  rank 4," in shown
    assert "lora_down" not in shown
