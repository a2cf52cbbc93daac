"""``ddim-edge inspect`` of a robot policy."""

import json
from pathlib import Path

from tests.helpers.command_line import Invoke
from tests.helpers.policy_bundles import GOAL, STATE, write_policy


def test_a_policy_says_what_it_observes_and_does(invoke: Invoke, tmp_path: Path) -> None:
    write_policy(tmp_path / "push")
    done = invoke("inspect", "push")
    assert (done.code, done.err) == (0, "")
    assert (
        f"a robot policy, which `run` and `serve` give observations: the last 2 of {STATE} (3), {GOAL} (2)" in done.out
    )
    assert "chunks of 8 actions of 2 values mm, of which 4 are executed" in done.out
    facts = json.loads(invoke("inspect", "push", "--json").out)["policy"]
    assert facts["observations"] == {STATE: [3], GOAL: [2]}
    assert (facts["horizon"], facts["action_names"]) == (8, ["x", "grip"])


def test_another_bundle_is_none(invoke: Invoke, tiny_bundle: Path) -> None:
    assert json.loads(invoke("inspect", tiny_bundle, "--json").out)["policy"] is None
