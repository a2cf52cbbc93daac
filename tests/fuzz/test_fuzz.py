"""Hostile input of every kind ends with a right result, or is refused in one line."""

from collections import Counter

import pytest

from .kinds import KINDS, case

SEED = 1
CASES = 300


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_input(kind: str) -> None:
    outcomes, faults = Counter[str](), dict[int, str]()
    with KINDS[kind].player() as play:
        for index in range(CASES):
            played = play(case(kind, SEED, index))
            outcomes[played.outcome] += 1
            if played.fault:
                faults[index] = played.fault
    again = f"python -m bench.fuzz {kind} --seed {SEED} --only INDEX plays one of them"
    assert not faults, f"{again}:\n" + "\n".join(f"{index}: {fault[:300]}" for index, fault in faults.items())
    assert outcomes["exit 0"] + outcomes["200"] > CASES // 50, f"hardly anything is done: {outcomes}"
    assert outcomes["exit 2"] + outcomes["400"] > CASES // 50, f"hardly anything is refused: {outcomes}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_case_is_the_same_again(kind: str) -> None:
    assert [case(kind, 3, index) for index in range(20)] == [case(kind, 3, index) for index in range(20)]
    assert case(kind, 3, 0) != case(kind, 4, 0)
