"""The plan within a limit of memory, as a pure function."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from ddim_edge.generation.memory.plan import Needs, Plan, choose, least

MB = 10**6
FULL = Needs(
    base=100 * MB,
    weights={"unet": 60 * MB, "text_encoder": 15 * MB, "vae_decoder": 10 * MB},
    kept=frozenset(),
    row=700 * MB,
    rows=2,
    pixel=4300,
    fixed=64 * MB,
    sides=(512, 512),
    tiles=(None, 448, 384, 320, 256, 192, 128),
)
"""About Stable Diffusion 1.5's, with mapped weights."""

sizes = st.integers(0, 4 * 10**9)
needs = st.builds(
    Needs,
    base=sizes,
    weights=st.dictionaries(st.sampled_from(["unet", "text_encoder", "vae_decoder", "controlnet"]), sizes),
    kept=st.sampled_from([frozenset(), frozenset({"controlnet"})]),
    row=sizes,
    rows=st.integers(1, 40),
    pixel=st.integers(0, 10_000),
    fixed=sizes,
    sides=st.tuples(st.integers(1, 1024), st.integers(1, 1024)),
    tiles=st.sampled_from([(None,), (None, 512, 256, 128), (512, 384, 128), (256,)]),
)


def _tile(plan: Plan) -> float:
    return float("inf") if plan.tile is None else plan.tile


@given(needs, sizes)
def test_a_plan_is_within_the_limit_and_there_is_one_from_the_least_on(needs: Needs, limit: int) -> None:
    plan = choose(needs, limit)
    assert (plan is not None) == (limit >= least(needs))
    assert plan is None or needs.of(plan) <= limit


@given(needs, sizes, sizes)
def test_more_memory_never_makes_smaller_tiles(needs: Needs, limit: int, more: int) -> None:
    little, much = choose(needs, limit), choose(needs, limit + more)
    if little is not None:
        assert much is not None
        assert _tile(much) >= _tile(little)


@given(needs)
def test_with_enough_memory_nothing_changes(needs: Needs) -> None:
    assert choose(needs, 10**15) == Plan(needs.tiles[0], turns=False, rows=None)


def test_rows_come_before_tiles_and_the_largest_tile_first() -> None:
    assert choose(FULL, 1800 * MB) == Plan()
    assert choose(FULL, 1500 * MB) == Plan(rows=1)
    assert choose(FULL, 1200 * MB) == Plan(rows=1, tile=448)
    assert choose(FULL, 800 * MB) is None


def test_private_weights_take_turns_before_anything_else_changes() -> None:
    private = dataclasses.replace(FULL, weights={"unet": 3400 * MB, "text_encoder": 500 * MB, "vae_decoder": 200 * MB})
    assert choose(private, 5500 * MB) == Plan(rows=1)
    assert choose(private, 5100 * MB) == Plan(turns=True)


def test_in_turns_controlnets_stay_beside_the_network_that_runs() -> None:
    needs = dataclasses.replace(FULL, weights={"unet": 7, "controlnet": 5, "vae": 6}, kept=frozenset({"controlnet"}))
    assert needs.of(Plan()) - needs.of(Plan(turns=True)) == 6
