"""How many rows a call may have, with memory as it is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddim_edge.runtime.hardware.memory import budget_bytes, private_bytes
from ddim_edge.serving.scheduling.row_limit import RowLimit

AT_FIRST, A_ROW = 1000, 100


class Memory:
    """A process that keeps what its largest call needed."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self) -> int:
        return AT_FIRST + A_ROW * self.rows

    def call(self, limit: RowLimit, wanted: int) -> int:
        rows = min(limit.rows, wanted)
        self.rows = max(self.rows, rows)
        limit.after_call(rows, wanted)
        return rows


@given(
    most=st.integers(1, 100), budget=st.integers(AT_FIRST, 20_000), wishes=st.lists(st.integers(1, 200), max_size=20)
)
def test_memory_stays_within_the_budget(most: int, budget: int, wishes: list[int]) -> None:
    memory = Memory()
    limit = RowLimit(most, budget, memory)
    for wanted in wishes:
        assert memory.call(limit, wanted) <= most
    assert memory() <= max(budget, AT_FIRST + 2 * A_ROW)  # two rows are where it begins


def test_it_rises_only_where_more_is_wanted() -> None:
    memory = Memory()
    limit = RowLimit(16, AT_FIRST + 16 * A_ROW, memory)
    assert [memory.call(limit, 1), memory.call(limit, 2), limit.rows] == [1, 2, 2]
    assert [memory.call(limit, 20) for _ in range(4)] == [2, 4, 8, 8]


def test_without_a_measure_it_rises_to_what_was_asked_for() -> None:
    limit = RowLimit(12, None, lambda: None)
    for rows in (2, 4, 8):
        limit.after_call(rows, 100)
    assert limit.rows == 12


def test_after_a_failure_it_is_halved_for_good() -> None:
    limit = RowLimit(16, None, lambda: None)
    for rows in (2, 4, 8):
        limit.after_call(rows, 100)
    assert limit.halve(10)
    limit.after_call(5, 100)
    assert limit.rows == 5
    assert [limit.halve(5), limit.halve(2), limit.halve(1), limit.rows] == [True, True, False, 1]


@pytest.mark.skipif(private_bytes() is None, reason="this platform does not tell a process its size")
def test_this_process_has_a_size_and_may_grow() -> None:
    used, budget = private_bytes(), budget_bytes()
    assert used is not None
    assert budget is not None
    assert 10 * 2**20 < used < budget
