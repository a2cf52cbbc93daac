"""The linear multistep method's coefficients beside an integral by SciPy."""

import pytest
import scipy.integrate
from hypothesis import given
from hypothesis import strategies as st

from ddim_edge.diffusion.samplers.lms import coefficients

SHRINKING = st.lists(st.floats(0.5, 0.95), min_size=1, max_size=4)


@given(ratios=SHRINKING, last=st.floats(0.0, 0.95))
def test_coefficients_are_the_integrals_of_lagranges_polynomials(ratios: list[float], last: float) -> None:
    levels = [10.0]
    for ratio in ratios[1:]:
        levels.append(levels[-1] * ratio)
    sigmas = [*levels, levels[-1] * last]
    nodes = levels[::-1]
    for j, ours in enumerate(coefficients(sigmas)):

        def basis(sigma: float, at: int = j) -> float:
            product = 1.0
            for k, node in enumerate(nodes):
                product *= 1.0 if k == at else (sigma - node) / (nodes[at] - node)
            return product

        exact, _ = scipy.integrate.quad(basis, sigmas[-2], sigmas[-1])
        assert ours == pytest.approx(exact, rel=1e-9, abs=1e-9)
