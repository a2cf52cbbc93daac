"""The cells of the samplers' table make as many network calls as they say."""

import pytest

import ddim_edge
from bench.quality import plan
from ddim_edge.bundle.read import open_bundle
from ddim_edge.diffusion.samplers import samplers_for, schedule_of

BUNDLE = open_bundle("fashion-mnist")


@pytest.mark.parametrize("cell", plan.samplers(1000), ids=lambda cell: cell.key)
def test_a_cell_makes_the_calls_that_it_is_listed_under(cell: plan.SamplerCell) -> None:
    options = cell.request(BUNDLE)
    calls = len(schedule_of(options["sampler"], options["num_steps"]).timesteps)
    uneven = cell.calls % 2 == 0 and plan.VARIANTS[cell.variant].calls_a_step == 2
    assert calls == cell.calls - uneven


def test_every_sampler_has_a_row() -> None:
    assert {variant.sampler for variant in plan.VARIANTS.values()} == set(samplers_for("betas"))
    assert {cell.calls for cell in plan.samplers(1) if cell.variant == "ddim"} == set(plan.SAMPLER_CALLS)


@pytest.mark.parametrize(("scale", "interval", "rows"), [(1.0, None, 10), (2.0, None, 20), (2.0, (0.2, 1.0), 12)])
def test_rows_are_counted_twice_where_an_image_is_guided(
    scale: float, interval: tuple[float, float] | None, rows: int
) -> None:
    config = ddim_edge.DdimConfig()
    request = ddim_edge.Request(
        num_images=1, num_steps=10, sampler=config, guidance_scale=scale, guidance_interval=interval
    )
    assert plan.rows_per_image(request) == rows
