"""Names in diffusers' files that are not built here: the answer to them must not be a similar name.

From diffusers 0.42. A sampler of another name makes other images, or none.
"""

import difflib
from collections.abc import Collection, Mapping

from ..errors import LONGEST_SHOWN, ConfigError, choose_from, shown
from .refused_schedulers import REFUSED

FLOW_MATCHING = frozenset(
    [
        "FlowMapEulerDiscreteScheduler",
        "FlowMatchEulerDiscreteScheduler",
        "FlowMatchHeunDiscreteScheduler",
        "FlowMatchLCMScheduler",
        "HeliosDMDScheduler",
        "HeliosScheduler",
        "LTXEulerAncestralRFScheduler",
        "MiniMaxH3Scheduler",
        "PiflowScheduler",
    ]
)
"""Those of flow matching, which has no β."""

OUR_NAMES: Mapping[str, Mapping[str, str]] = {
    "beta_schedule": {
        "linear": "linear",
        "scaled_linear": "quadratic",
        "squaredcos_cap_v2": "squared_cosine",
        "sigmoid": "sigmoid",
    },
    "prediction_type": {"epsilon": "noise", "v_prediction": "angular_velocity", "sample": "sample"},
}
"""By key: the values that have another name in this project's options."""

_KNOWN: Mapping[str, Collection[str]] = {
    "_class_name": REFUSED,
    "prediction_type": ("epsilon", "v_prediction", "sample", "original_sample", "flow_prediction", "trigflow"),
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "exp", "laplace"),
    "timestep_spacing": ("leading", "linspace", "trailing"),
    "variance_type": ("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"),
    "solver_type": ("midpoint", "heun", "logrho", "bh1", "bh2"),
    "sampler": (
        "ddim-inverse", "dpm-adaptive", "dpm-fast", "dpm2", "dpm2-a", "dpmpp-2m-sde", "dpmpp-2s-a", "dpmpp-3m",
        "dpmpp-3m-sde", "dpmpp-sde", "edm", "heun", "lms", "plms", "sa-solver", "tcd",
    ),
}  # fmt: skip
"""By key: the values of diffusers' files. ``sampler``: usual short names of samplers."""


class NotBuiltError(ConfigError):
    """A scheduler is unknown, or it or its variant is known and not built here; another sampler may fit the model."""


_CLASS_CUTOFF = 0.85
"""Similarity of a misspelt class name. All class names end in Scheduler, so any two of them are similar."""


def unknown_value(key: str, value: object, built: Collection[str]) -> ConfigError:
    """The error for a ``value`` of ``key`` that is not in ``built``: known elsewhere, misspelt, or unknown."""
    known = set(_KNOWN.get(key, ())) - set(built)
    ours = OUR_NAMES.get(key, {}).get(value) if isinstance(value, str) else None
    if ours in built:
        return ConfigError(f"{key} {value!r} is called {ours!r} here")
    if isinstance(value, str) and value in known:
        reason = f": {REFUSED[value]}" if key == "_class_name" else f". Built: {', '.join(built)}"
        return NotBuiltError(f"{key} {value!r} is known, but not built here{reason}.")
    cutoff = _CLASS_CUTOFF if key == "_class_name" else 0.5
    text = str(value)[:LONGEST_SHOWN]
    if _similarity(text, built) >= max(cutoff, _similarity(text, known)):
        return ConfigError(choose_from(key, value, built))
    return ConfigError(f"{key} {shown(value)} is unknown. Valid: {', '.join(built)}.")


def _similarity(text: str, names: Collection[str]) -> float:
    """The similarity of the most similar name, from 0 to 1."""
    return max((difflib.SequenceMatcher(None, name, text).ratio() for name in names), default=0)
