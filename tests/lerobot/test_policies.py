"""LeRobot's own policies beside their exports: each part is fed what LeRobot's was fed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.diffusion.samplers import start
from ddim_edge.generation.engine import Engine, Job
from ddim_edge.networks.row import Row
from ddim_edge.policy.window import Window, normalized_observation
from ddim_edge_export import export_policy

from .conftest import needs_lerobot, run_lerobot

TRAINED = Path(__file__).parents[2] / "models" / "point-maze"
_CASES = ("ddim", "ddpm", "ddim-sample", "ddpm-sample-bias", "cameras", "cameras-apart")


@needs_lerobot
@pytest.mark.parametrize("case", _CASES)
def test_each_part_is_lerobots(oracle: Path, tmp_path: Path, case: str) -> None:
    record = np.load(oracle / case / "record.npz")
    export_policy(oracle / case / "policy", tmp_path / "policy")
    policy = ddim_edge.load_policy(tmp_path / "policy", "cpu", warm_up=False, range_factor=1e3)
    condition = _conditioning(policy, record)
    np.testing.assert_allclose(condition["global_cond"], record["condition"], atol=1e-4)
    for sample, timestep, prediction in zip(record["samples"], record["timesteps"], record["predictions"], strict=True):
        row = Row(sample, int(timestep), {"global_cond": record["condition"]}, None, 1.0)
        np.testing.assert_allclose(policy.network.denoiser.predict([row]), prediction, atol=1e-4)
    chunk = _sampled(policy, record)
    first = policy.config.first_action
    actions = policy.config.action.restored(chunk[0, first : first + policy.config.n_action_steps])
    np.testing.assert_allclose(actions, record["actions"], atol=1e-4)


@needs_lerobot
def test_whole_chunks_of_the_trained_policy_are_lerobots(tmp_path: Path) -> None:
    """LeRobot's DDIM has the spacing leading, and the bundle another."""
    run_lerobot("tests.lerobot.trained", TRAINED, tmp_path / "record.npz")
    record, policy = np.load(tmp_path / "record.npz"), ddim_edge.load_policy(TRAINED, "cpu", warm_up=False)
    condition, config = _conditioning(policy, record), policy.bundle.own_sampler.replace(timestep_spacing="leading")
    job = Job(start(config, len(record["timesteps"]), record["noise"]), condition)
    engine = Engine(policy.network.denoiser)
    engine.add(job)
    while not engine.step():
        pass
    np.testing.assert_allclose(job.result(), record["results"][-1], atol=1e-4)
    np.testing.assert_allclose(policy.config.actions_to_execute(job.result()), record["actions"], atol=1e-4)


def _conditioning(policy: ddim_edge.Policy, record: Any) -> Any:
    """What the encoder returns for LeRobot's two observations."""
    window = Window(policy.config)
    for at in range(2):
        seen = {name: record[f"seen.{at}.{name}"] for name in policy.config.observations}
        window.add(normalized_observation(seen, policy.config))
    windows = {name: window.stacked(name)[None] for name in policy.config.observations}
    (condition,) = policy.network.encode(windows)
    return condition


def _sampled(policy: ddim_edge.Policy, record: Any) -> Any:
    """The chunk that the sampler ends with when it is sent LeRobot's predictions, and draws its noise.

    Its sample at each step, and the timestep, must be LeRobot's.
    """
    draws: Iterator[Any] = iter(record["draws"])
    steps = policy.bundle.default_steps(policy.bundle.own_sampler)
    sampler = start(policy.bundle.own_sampler, steps, record["noise"], lambda: next(draws))
    query = next(sampler)
    try:
        for sample, timestep, prediction in zip(
            record["samples"], record["timesteps"], record["predictions"], strict=True
        ):
            assert query.timestep == timestep
            np.testing.assert_allclose(query.sample, sample, atol=1e-4)
            query = sampler.send(prediction)
    except StopIteration as end:
        np.testing.assert_allclose(end.value, record["results"][-1], atol=1e-4)
        return end.value
    raise AssertionError("the sampler makes more steps than LeRobot")
