"""Guidance as a weighted sum of N predictions: what each costs, and what comes out, by its formula."""

import numpy as np
import pytest

from ddim_edge.arrays import Conditioning, Sample
from ddim_edge.generation.guided_sum import guided_sum
from ddim_edge.networks.row import Row, Weighted
from ddim_edge.networks.row_guidance import RowGuidance

SAMPLE = np.zeros((1, 2, 3, 3), np.float32)


def named(name: int) -> Conditioning:
    return {"class_labels": np.array([name])}


def row(*weights: float) -> Row:
    summed = guided_sum([Weighted(named(name), weight) for name, weight in enumerate(weights)])
    return Row(SAMPLE, 1, summed.conditioning, summed.unconditional, summed.scale, others=summed.others)


def names(row: Row) -> list[int]:
    """Which predictions are made."""
    return [int(conditioning["class_labels"][0]) for conditioning in row.conditionings]


def prediction(name: int) -> Sample:
    return np.random.default_rng(name).standard_normal(SAMPLE.shape, dtype=np.float32)


@pytest.mark.parametrize(
    ("weights", "made"),
    [
        ((1.0, 0.0), [0]),
        ((0.0, 1.0), [1]),
        ((3.0, -2.0), [0, 1]),
        ((7.0, -5.5, -0.5), [0, 2, 1]),
        ((7.0, -6.0, 0.0), [0, 1]),
        ((2.0, 0.0, -1.0), [0, 2]),
        ((2.0, 1.0, -0.5, -1.5), [0, 3, 1, 2]),
    ],
)
def test_a_prediction_without_weight_is_not_made(weights: tuple[float, ...], made: list[int]) -> None:
    assert names(row(*weights)) == made


def test_rows_of_one_two_and_three_predictions_share_a_call() -> None:
    rows = [row(1.0), row(7.0, -5.5, -0.5), row(3.0, -2.0), row(2.0, 1.0, -2.0)]
    weights = [[1.0], [7.0, -5.5, -0.5], [3.0, -2.0], [2.0, 1.0, -2.0]]
    lists = [names(each) for each in rows]
    outputs = [prediction(each[position]) for position in range(3) for each in lists if position < len(each)]
    found = RowGuidance(rows).apply(np.concatenate(outputs))
    for answer, each in zip(found, weights, strict=True):
        wanted = sum(np.float64(weight) * prediction(name) for name, weight in enumerate(each))
        np.testing.assert_allclose(answer, wanted, atol=1e-5)


def test_two_predictions_are_summed_to_the_bit_as_before() -> None:
    outputs = np.concatenate([prediction(0), prediction(1)])
    (found,) = RowGuidance([row(7.5, -6.5)]).apply(outputs.copy())
    np.testing.assert_array_equal(found, outputs[1:] + np.float32(7.5) * (outputs[:1] - outputs[1:]))
