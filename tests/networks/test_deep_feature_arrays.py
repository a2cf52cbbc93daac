"""Features of several calls in one array: joined, and copied once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ddim_edge.networks.features import FeatureStack, KeptRow


@settings(deadline=None, max_examples=60)
@given(
    calls=st.lists(
        st.tuples(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=5), st.integers(0, 2)),
        min_size=1,
        max_size=6,
    )
)
def test_features_of_several_calls_are_joined_in_one_array(calls: list[tuple[list[tuple[int, int]], int]]) -> None:
    """``calls``: the rows of each call, by the call and position that they are from, and the padding."""
    random = np.random.default_rng(0)
    kept = {at: random.standard_normal((3, 2, 4, 4)).astype(np.float32) for at in range(4)}
    stack = FeatureStack()
    for number, (rows, padding) in enumerate(calls):
        joined = np.asarray(stack.joined([KeptRow(kept[call], at) for call, at in rows], len(rows) + padding))
        np.testing.assert_array_equal(joined[: len(rows)], np.stack([kept[call][at] for call, at in rows]))
        assert len(joined) == len(rows) + padding
        kept[number % 4] = random.standard_normal((3, 2, 4, 4)).astype(np.float32)  # the one before is gone


def test_what_was_copied_is_not_copied_again() -> None:
    first, second = (np.full((2, 2, 4, 4), value, np.float32) for value in (1, 2))
    stack, rows = FeatureStack(), [KeptRow(first, 1), KeptRow(second, 1)]
    joined = np.asarray(stack.joined(rows, 2))
    joined[0] = 7
    assert np.shares_memory(joined, np.asarray(stack.joined(rows, 2)))
    assert joined[0, 0, 0, 0] == 7
    stack.joined([rows[1], rows[1]], 2)
    np.testing.assert_array_equal(joined, second)
