"""Sizes such as 2GB."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddim_edge.config.byte_count import byte_count, size_text
from ddim_edge.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (1, 1),
        ("1", 1),
        ("2GB", 2 * 10**9),
        ("2 gb", 2 * 10**9),
        ("1.5GiB", 3 * 2**29),
        ("800MB", 800 * 10**6),
        (" 800MiB ", 800 * 2**20),
        ("10KB", 10**4),
        ("1TiB", 2**40),
        ("7B", 7),
    ],
)
def test_sizes(value: int | str, count: int) -> None:
    assert byte_count("max_memory", value) == count


@pytest.mark.parametrize(
    "value", [0, -1, "0", "0.1B", "-2GB", "2G", "2XB", "", "GB", "1e9", "NaN", True, 1.5, None, "9" * 30]
)
def test_what_is_no_size(value: int | str) -> None:
    with pytest.raises(ConfigError, match="max_memory must be a size above 0, such as 2GB"):
        byte_count("max_memory", value)


@given(st.integers(1, 10**15))
def test_what_is_told_is_enough(count: int) -> None:
    assert count <= byte_count("size", size_text(count)) <= count + 10**7 + count // 10**9
