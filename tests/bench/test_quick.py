"""The verdicts of the quick bench, and that it measures what has a bound."""

import inspect
import tomllib

from bench import quick


def test_a_figure_that_is_worse_fails() -> None:
    bounds = {"at_most": {"a": 1.0, "b": 1.0}, "at_least": {"c": 2.0, "d": 2.0}}
    lines = quick.verdicts({"a": 1.0, "b": 1.234, "c": 2.0, "d": 1.9}, bounds)
    assert lines[:2] == ["ok   a: 1 (at most 1)", "FAIL b: 1.23 (at most 1)"]
    assert lines[2:] == ["ok   c: 2 (at least 2)", "FAIL d: 1.9 (at least 2)"]


def test_every_bound_is_measured() -> None:
    bounds = tomllib.loads(quick.BOUNDS.read_text())
    source = inspect.getsource(quick.measure)
    assert all(f'"{name}"' in source for names in bounds.values() for name in names)
