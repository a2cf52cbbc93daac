"""The tables of samplers from their records."""

from typing import Any

import pytest

from bench import results
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


def test_the_distilled_model_stands_beside_its_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    guided = {"num_steps": 8, "interval": [0.5, 3.0], "num_images": 500, "distance": 0.15}
    teacher = _of_model("large", _cell("ddim", 8, 0.4), guided)
    monkeypatch.setattr(results, "read", lambda _subject: teacher)
    lines = quality.turbo(_of_model("small", _cell("ddim", 2, 0.3))).splitlines()
    assert lines[0] == "The distance of real images, by their number: 0.0800 at 500."
    assert lines[4:] == [
        "| 2 | small | ddim | none | 1 | 500 | 90.00% | 0.3000 |",
        "| 8 | large | ddim | none | 1 | 500 | 90.00% | 0.4000 |",
        f"| 8 | large | {plan.REFERENCE} | 1.5 at σ 0.5 to 3 | 1 | 500 | 90.00% | 0.1500 |",
    ]


def _of_model(name: str, *cells: dict[str, Any]) -> dict[str, Any]:
    return {**_record(*({**cell, "rows_per_image": 1} for cell in cells)), "model": {"name": name}}
