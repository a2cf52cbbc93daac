"""``ddim-edge bench`` of latent models beside diffusers: text and autoencoder are timed, and both answer alike."""

import json

import pytest

from tests.helpers.command_line import Invoke

from .conftest import FamilyOf


@pytest.mark.parametrize("name", ["sdxl", "lcm", "latent-classes"])
def test_a_family_beside_diffusers(invoke: Invoke, family_of: FamilyOf, name: str) -> None:
    family = family_of(name)
    arguments = ["bench", family.bundle, "-p", "cpu", "-s", "2", "--repeats", "1", "--batch", "2", "--json"]
    compared = [*arguments, "--compare", "diffusers", "--source", family.source, "--compile-mode", "none"]
    outcome = invoke(*compared)
    assert (outcome.code, outcome.err) == (0, "")
    mine, theirs = json.loads(outcome.out)["rows"]
    assert (mine["reason"], theirs["reason"]) == (None, None)
    assert 0 < theirs["facts"]["difference"] < 1e-4
    for row in (mine, theirs):
        assert row["facts"]["reads_text"] is (name != "latent-classes")
        assert row["facts"]["decodes"] is True
        assert row["prepare"]["median"] > 0
        assert row["finish"]["median"] > 0
