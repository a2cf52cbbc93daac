"""The tables of samplers from their records."""

from typing import Any

from bench.quality import plan
from bench.tables import quality


def _cell(variant: str, calls: int, distance: float, seeds: int = 0) -> dict[str, Any]:
    cell = plan.SamplerCell(variant, calls, 500, seeds)
    return {"variant": variant, "calls": cell.calls, "num_images": 500, "seeds": seeds, "distance": distance}


def _record(*cells: dict[str, Any]) -> dict[str, Any]:
    return {"floors": {"500": 0.08}, "cells": {str(at): {**c, "label_accuracy": 0.9} for at, c in enumerate(cells)}}


def test_a_sampler_without_a_cell_has_no_row() -> None:
    table = quality.solvers(_record(_cell("heun", 8, 0.25)))
    assert "| heun |  |  | 0.250 (90.0%, 500) |" in table
    assert "euler" not in table


def test_other_seeds_say_what_is_chance_and_are_no_cell() -> None:
    table = quality.solvers(_record(*(_cell(plan.REFERENCE, 8, 0.2 + 0.02 * seeds, seeds) for seeds in range(3))))
    assert f"| {plan.REFERENCE} |  |  | 0.200 (90.0%, 500) |" in table
    assert "has 0.200, 0.220, 0.240 from 3 sets of seeds, a standard deviation of 0.020" in table


def test_the_reference_is_measured_beside_the_others() -> None:
    cells = plan.few_calls(500)
    assert len({cell.key for cell in cells}) == len(cells)
    assert [cell.seeds for cell in cells if (cell.variant, cell.calls) == (plan.REFERENCE, 8)] == [0, 1, 2, 3]
    assert {"euler", "euler-a", "heun, Karras 0.02 to 80"} <= {cell.variant for cell in cells}
