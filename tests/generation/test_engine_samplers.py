"""Jobs of any samplers, guided and repaired in any way, share network calls and end where each ends alone."""

import functools
import inspect
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ddim_edge
from ddim_edge import Origin
from ddim_edge.diffusion.guidance import GuidanceMode
from ddim_edge.diffusion.samplers import SAMPLERS, cfg_plus_plus, samplers_for
from ddim_edge.generation import engine
from ddim_edge.generation.engine import Engine
from ddim_edge.generation.jobs import job_of
from ddim_edge.generation.requests.request import Request
from tests.helpers.tiny_bundles import Array, tiny_model, write_bundle


@dataclass(frozen=True)
class Kind:
    """Everything in which two jobs can differ."""

    sampler: str
    num_steps: int
    label: int
    seed: int
    scale: float
    rescale: float
    mode: GuidanceMode
    interval: tuple[float, float] | None
    masked: bool
    cache: str | None
    threshold: float | None

    @property
    def can_be_plus_plus(self) -> bool:
        return self.sampler in cfg_plus_plus.SAMPLERS and not self.cache and self.scale <= 1

    def request(self) -> Request:
        mask = np.zeros((1, 1, 8, 8), bool)
        mask[..., 4:] = True
        picture = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
        return Request(
            num_images=1,
            labels=(self.label,),
            num_steps=self.num_steps,
            seed=self.seed,
            guidance_scale=self.scale,
            guidance_mode=self.mode if self.can_be_plus_plus else "cfg",
            guidance_rescale=self.rescale if self.scale != 1 else 0.0,
            guidance_interval=self.interval if self.scale != 1 else None,
            sampler=SAMPLERS[self.sampler](),
            cache=self.cache,
            cache_threshold=self.threshold if self.cache else None,
            origin=Origin(image=picture, mask=mask) if self.masked else None,
        )


KINDS = st.builds(
    Kind,
    sampler=st.sampled_from(sorted(samplers_for("betas"))),
    num_steps=st.integers(4, 9),
    label=st.integers(0, 2),
    seed=st.integers(0, 3),
    scale=st.sampled_from([0.0, 0.6, 1.0, 2.5]),
    rescale=st.sampled_from([0.0, 0.7]),
    mode=st.sampled_from(get_args(GuidanceMode)),
    interval=st.sampled_from([None, (0.5, 3.0)]),
    masked=st.booleans(),
    cache=st.sampled_from([None, "forecast:2", "forecast:4"]),
    threshold=st.sampled_from([None, 0.3]),
)


@functools.cache
def pipeline() -> ddim_edge.Pipeline:
    """Cached, not a fixture: hypothesis calls the test many times with one."""
    with tempfile.TemporaryDirectory() as folder:
        return ddim_edge.load(write_bundle(Path(folder) / "tiny", tiny_model(real_timestep=True)), "cpu")


@functools.cache
def alone(kind: Kind) -> Array:
    return run([kind])[0]


def run(kinds: list[Kind], max_rows: int = 64) -> list[Array]:
    jobs = [job_of(pipeline().bundle, kind.request(), 0) for kind in kinds]
    together = Engine(pipeline().denoiser, max_rows)
    for job in jobs:
        together.add(job)
    while together.jobs:
        together.step()
    return [job.result() for job in jobs]


@settings(max_examples=60, deadline=None)
@given(kinds=st.lists(KINDS, min_size=2, max_size=7), max_rows=st.sampled_from([3, 64]))
def test_any_mix_ends_where_each_ends_alone(kinds: list[Kind], max_rows: int) -> None:
    for kind, result in zip(kinds, run(kinds, max_rows), strict=True):
        np.testing.assert_array_equal(result, alone(kind))


def test_the_engine_knows_no_sampler() -> None:
    source = inspect.getsource(engine).lower()
    assert not [name for name in (*SAMPLERS, "dpmpp") if name in source.replace("ddim_edge", "")]


@pytest.mark.parametrize("name", samplers_for("betas"))
def test_a_seed_makes_one_image_and_another_another(tiny_bundle: Path, name: str) -> None:
    tiny = ddim_edge.load(tiny_bundle, "cpu")
    first, again, other = (
        tiny.generate(sampler=name, num_steps=6, seed=seed, labels=["cat"]).images for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
