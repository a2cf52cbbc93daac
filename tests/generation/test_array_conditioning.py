"""Arrays that condition samples: a row for each, in the calls and in the recipe."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ddim_edge
from tests.generation.array_loop import STEPS, opened, plain_loop
from tests.helpers.array_bundles import (
    CONDITION,
)


@pytest.fixture(scope="module")
def conditioned(tmp_path_factory: pytest.TempPathFactory) -> ddim_edge.Pipeline:
    """A model of samples (6, 2) that takes three numbers."""
    return opened(tmp_path_factory.mktemp("conditioned"), (6, 2), condition=3)


@settings(max_examples=15)
@given(
    rows=st.integers(1, 5),
    batch=st.integers(1, 5),
    shared=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_each_sample_has_its_own_row(
    conditioned: ddim_edge.Pipeline, rows: int, batch: int, shared: bool, seed: int
) -> None:
    values = np.random.default_rng(seed).standard_normal((1 if shared else rows, 3), np.float32)
    given = {CONDITION: values}
    result = conditioned.generate(conditioning=given, num_images=rows, num_steps=2, batch_size=batch, seed=seed)
    for index in range(rows):
        row = values[0 if shared else index]
        alone = conditioned.generate(conditioning={CONDITION: row}, num_steps=2, seed=seed + index)
        np.testing.assert_allclose(result.samples[index], alone.samples[0], atol=1e-6)


def test_conditioning_reaches_the_network(conditioned: ddim_edge.Pipeline) -> None:
    values = np.array([[1, 2, 3], [-4, 0, 4]], np.float32)
    result = conditioned.generate(conditioning={CONDITION: values}, num_steps=STEPS, seed=7)
    wanted = np.concatenate([plain_loop((6, 2), 7 + index, values[index]) for index in range(2)])
    np.testing.assert_allclose(result.samples, wanted, atol=1e-6)


def test_requests_of_different_conditioning_share_calls(conditioned: ddim_edge.Pipeline) -> None:
    values = np.eye(3, dtype=np.float32)
    requests = [conditioned.request(conditioning={CONDITION: row}, num_steps=STEPS) for row in values]
    rows: list[int] = []
    conditioned.denoiser.on_call = lambda count, _seconds: rows.append(count)
    made = {position: each.sample for position, each in conditioned.generate_many(requests)}
    conditioned.denoiser.on_call = lambda _rows, _seconds: None
    assert rows == [3] * STEPS
    for position, row in enumerate(values):
        np.testing.assert_allclose(made[position], plain_loop((6, 2), 0, row)[0], atol=1e-6)


def test_a_recipe_has_the_hash_of_the_conditioning(conditioned: ddim_edge.Pipeline) -> None:
    request = conditioned.request(conditioning={CONDITION: [1.0, 2.0, 3.0]})
    recipe = conditioned.recipe(request)
    assert len(recipe["conditioning"][CONDITION]) == 64
    again = ddim_edge.Request.from_json(recipe, conditioning=request.conditioning)
    assert again == request
    other = conditioned.request(conditioning={CONDITION: [1.0, 2.0, 4.0]}).conditioning
    with pytest.raises(ddim_edge.ConfigError, match="made with another global_cond"):
        ddim_edge.Request.from_json(recipe, conditioning=other)
    with pytest.raises(ddim_edge.ConfigError, match="give the same conditioning"):
        ddim_edge.Request.from_json(recipe)
