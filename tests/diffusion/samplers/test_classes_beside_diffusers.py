"""Every accepted class of diffusers over a drawn grid of its options; see ``beside_diffusers``.

A new sampler adds its class to the cases of its kin: its options, its tolerance, and why it is no smaller.
"""

import pytest

from . import cases_flow, cases_log_snr, cases_sigma, cases_steps
from .beside_diffusers import Case, runs_compared

# diffusers hands torch tensors to np.array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CASES = (*cases_log_snr.CASES, *cases_sigma.CASES, *cases_flow.CASES, *cases_steps.CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_sample_of_a_run_is_diffusers(case: Case) -> None:
    assert runs_compared(case) >= case.least
