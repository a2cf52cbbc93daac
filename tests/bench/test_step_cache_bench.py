"""The cells of bench.step_cache, their rival, their parts, and the table."""

import math
from pathlib import Path

import numpy as np
import pytest

import ddim_edge
from bench.step_cache.cells import BASES, CACHES, Cell, cells
from bench.step_cache.parts import has_part, read_parts, write_part
from bench.step_cache.rivals import rival
from bench.tables.step_cache import step_cache

PLAIN = [
    {"seconds": 1.0, "distance": 0.4},
    {"seconds": 4.0, "distance": 0.2},
    {"seconds": 9.0, "distance": 0.3},
]


def test_every_cell_is_a_run_of_its_own() -> None:
    keys = [cell.key for cell in cells()]
    assert len(set(keys)) == len(keys)
    assert len([cell for cell in cells() if cell.cache]) == len(BASES) * len(CACHES)


@pytest.mark.parametrize("cell", cells(), ids=lambda cell: cell.key)
def test_every_cell_is_a_valid_request(cell: Cell) -> None:
    config = ddim_edge.DdimConfig()
    options = {name: value for name, value in cell.options().items() if name != "sampler" and value is not None}
    assert ddim_edge.Request(num_images=1, sampler=config, **options).num_steps == cell.num_steps


def test_the_rival_is_the_best_of_less_time() -> None:
    assert rival(PLAIN, 4.0) == 0.2
    assert rival(PLAIN, 9.0) == 0.2, "more time can be spent on fewer steps"
    assert rival(PLAIN, 2.0) == pytest.approx(0.3), "in line over the logarithm"
    assert math.isnan(rival(PLAIN, 0.9))


def test_parts_are_joined_and_missing_ones_are_seen(tmp_path: Path) -> None:
    for number in (0, 1):
        write_part(tmp_path / "cell", number, {"right": np.array([number, 1]), "seconds": np.array([0.5])})
    assert has_part(tmp_path / "cell", 1)
    assert not has_part(tmp_path / "cell", 2)
    parts = read_parts(tmp_path / "cell", 2)
    assert parts["right"].tolist() == [0, 1, 1, 1]
    assert parts["seconds"].sum() == 1.0


def test_the_table_says_which_cached_cells_lose() -> None:
    row = {"sampler": "ddim", "num_steps": 50, "whole": 18.0, "right": 1.0, "cache": None, "threshold": None}
    cached = [
        {**row, "cache": "deep:3", "seconds": 4.0, "distance": 0.25},
        {**row, "cache": "deep:5", "threshold": 0.2, "seconds": 2.0, "distance": 0.25},
    ]
    record = {"models": {"emoji": {"images": 100, "cells": [*({**row, **plain} for plain in PLAIN), *cached]}}}
    lines = step_cache(record).splitlines()
    assert lines[-2].endswith("| 0.25 | 100.0% | 0.2 | plain |")
    assert lines[-1].endswith("| 0.25 | 100.0% | 0.3 | cache |")
    assert "deep:5, threshold 0.2" in lines[-1]
