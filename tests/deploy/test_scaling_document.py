"""docs/scaling.md: its figures are those of bench/README.md, its machines follow from them, its metrics exist."""

import math
import re

import pytest

from ddim_edge.serving.scheduling.metrics import Metrics
from tests.deploy.files import ROOT

DOCUMENT = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
MEASUREMENTS = (ROOT / "bench/README.md").read_text(encoding="utf-8")
IMAGES_A_SECOND = 1_000_000 / 86_400
REQUESTS_A_SECOND = 1_000


def _rows(section: str) -> list[list[str]]:
    text = DOCUMENT.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _figures() -> list[float]:
    return [float(re.findall(r"[\d.]+", measured)[0]) for _, measured, _ in _rows("What an image costs")]


def test_every_measured_figure_stands_in_the_measurements() -> None:
    *measured, published = _rows("What an image costs")
    assert "published" in published[2]
    for what, figure, command in measured:
        for number in re.findall(r"\d+\.\d+", f"{figure} {what.replace('1.5', '')}"):
            assert number in MEASUREMENTS, number
        assert command.strip("`").removesuffix(" throughput") in MEASUREMENTS


def test_the_machines_follow_from_the_figures() -> None:
    images, requests, at_60, _, float32, bfloat16, gpu = _figures()
    expected = [
        [math.ceil(IMAGES_A_SECOND / images), math.ceil(REQUESTS_A_SECOND / requests)],
        [None, math.ceil(REQUESTS_A_SECOND / at_60)],
        *[
            [math.ceil(IMAGES_A_SECOND * each), math.ceil(REQUESTS_A_SECOND * each - 1e-6)]
            for each in (float32, bfloat16, gpu)
        ],
    ]
    assert [[int(cell) if cell else None for cell in row[1:]] for row in _rows("Machines")] == expected


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(ddim_edge_\w+)`", DOCUMENT))))
def test_every_metric_exists(name: str) -> None:
    metrics = Metrics()
    names = {sample.name for family in metrics.registry.collect() for sample in family.samples}
    families = {family.name for family in metrics.registry.collect()}
    assert name.removesuffix("_total") in names | families
