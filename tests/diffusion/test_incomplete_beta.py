"""The quantiles of the Beta distribution beside SciPy's."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from ddim_edge.diffusion.incomplete_beta import beta_distribution, beta_quantiles


@pytest.mark.parametrize(("a", "b"), [(0.6, 0.6), (0.5, 2.0), (3.0, 0.7), (1.0, 1.0), (20.0, 5.0)])
def test_beta_is_scipys(a: float, b: float) -> None:
    shares = np.linspace(0, 1, 101)
    np.testing.assert_allclose(beta_distribution(shares, a, b), scipy.special.betainc(a, b, shares), atol=1e-12)
    np.testing.assert_allclose(beta_quantiles(shares, a, b), scipy.stats.beta.ppf(shares, a, b), atol=1e-10)
