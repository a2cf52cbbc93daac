"""Maps the keys and values of diffusers' scheduler files to config fields."""

import difflib
import math
from collections.abc import Mapping, Set
from typing import Any

from ..errors import ConfigError, shown
from .diffusers_names import OUR_NAMES, NotBuiltError, unknown_value
from .flow_keys import FLOW_VALUES, with_flow_sigmas

_FIELD_OF_KEY: Mapping[str, str] = {
    "num_train_timesteps": "num_train_steps",
    "beta_schedule": "beta_schedule",
    "beta_start": "beta_start",
    "beta_end": "beta_end",
    "trained_betas": "trained_betas",
    "prediction_type": "prediction_type",
    "set_alpha_to_one": "alpha_clip_strategy",
    "steps_offset": "timesteps_offset",
    "timestep_spacing": "timestep_spacing",
    "clip_sample": "clip_denoised_sample",
    "clip_sample_range": "clip_range",
    "sample_max_value": "dynamic_threshold_max",
    "rescale_betas_zero_snr": "zero_terminal_snr",
    "skip_prk_steps": "reduce_warmup",
    "original_inference_steps": "num_original_steps",
    "timestep_scaling": "boundary_condition_timestep_scale",
    "use_karras_sigmas": "use_karras_sigmas",
    "use_exponential_sigmas": "use_exponential_sigmas",
    "use_beta_sigmas": "use_beta_sigmas",
    "use_lu_lambdas": "use_lu_lambdas",
    "sigma_min": "sigma_min",
    "sigma_max": "sigma_max",
    "final_sigmas_type": "final_sigma",
    "lower_order_final": "lower_order_final",
    "euler_at_final": "euler_at_final",
    "lambda_min_clipped": "lambda_min_clipped",
    "solver_order": "solver_order",
    "predict_x0": "predict_x0",
    "disable_corrector": "disable_corrector",
    "shift": "shift",
    "use_dynamic_shifting": "use_dynamic_shifting",
    "base_shift": "base_shift",
    "max_shift": "max_shift",
    "base_image_seq_len": "base_image_seq_len",
    "max_image_seq_len": "max_image_seq_len",
    "shift_terminal": "shift_terminal",
    "time_shift_type": "time_shift_type",
    "stochastic_sampling": "stochastic_sampling",
    "sigma_data": "sigma_data",
    "sigma_schedule": "sigma_schedule",
    "timestep_type": "timestep_type",
    "rho": "rho",
    "clip_denoised": "clip_denoised",
    "s_noise": "s_noise",
    # Not in diffusers' files: there they are arguments of step(). A bundle can set them by our field names.
    "eta": "eta",
    "gamma": "gamma",
    "rederive_noise": "rederive_noise",
    "use_clipped_model_output": "rederive_noise",
    "transition": "transition",
    "whole_timesteps": "whole_timesteps",
    "image_seq_len": "image_seq_len",
    "sigmas": "sigmas",
    "timesteps": "timesteps",
    "align_your_steps": "align_your_steps",
}

_TRANSLATED_VALUES: Mapping[str, Mapping[Any, Any]] = {
    **OUR_NAMES,
    "set_alpha_to_one": {True: "one", False: "alpha_zero"},
}

_NULL_IS_DEFAULT = frozenset(
    [
        "use_karras_sigmas",
        "use_exponential_sigmas",
        "use_beta_sigmas",
        "use_lu_lambdas",
        "base_shift",
        "max_shift",
        "disable_corrector",
    ]
)
"""Keys whose null is the default in diffusers, too."""

_THRESHOLDING: Mapping[str, str] = {
    "thresholding": "thresholding",
    "dynamic_thresholding_ratio": "dynamic_threshold_ratio",
}

_EDM_PREDICTIONS: Mapping[Any, Any] = {"epsilon": "edm", "v_prediction": "angular_velocity", "sample": "sample"}

# diffusers reads the solver types of its other schedulers as the default, and deis as dpmsolver++.
_DPM_TYPES: Mapping[Any, Any] = {
    **dict.fromkeys(("midpoint", "logrho", "bh1", "bh2"), "midpoint"),
    "heun": "heun",
}
_DPM_SOLVER: Mapping[str, tuple[str, Mapping[Any, Any]]] = {
    "solver_type": ("solver_type", _DPM_TYPES),
    "algorithm_type": (
        "algorithm_type",
        {
            "dpmsolver++": "dpmsolver++",
            "deis": "dpmsolver++",
            "dpmsolver": "dpmsolver",
            "sde-dpmsolver++": "sde-dpmsolver++",
            "sde-dpmsolver": "sde-dpmsolver",
        },
    ),
}

# diffusers reads the solver types of its other schedulers as bh2.
_UNIPC: Mapping[str, tuple[str, Mapping[Any, Any]]] = {
    "solver_type": ("solver", {"bh1": "bh1", "bh2": "bh2", "midpoint": "bh2", "heun": "bh2", "logrho": "bh2"})
}

_BY_CLASS: Mapping[str, Mapping[str, tuple[str, Mapping[Any, Any]]]] = {
    "DDPMScheduler": {
        "variance_type": (
            "large_variance",
            # diffusers' own fixed_large_log is NaN: the root of a logarithm. DdpmConfig reads the learned ones itself.
            {
                **dict.fromkeys(("fixed_small", "fixed_small_log", "learned", "learned_range"), False),
                **dict.fromkeys(("fixed_large", "fixed_large_log"), True),
            },
        )
    },
    **dict.fromkeys(("UniPCMultistepScheduler", with_flow_sigmas("UniPCMultistepScheduler")), _UNIPC),
    **dict.fromkeys(("DPMSolverMultistepScheduler", with_flow_sigmas("DPMSolverMultistepScheduler")), _DPM_SOLVER),
    **dict.fromkeys(("DPMSolverSinglestepScheduler", with_flow_sigmas("DPMSolverSinglestepScheduler")), _DPM_SOLVER),
    "EDMDPMSolverMultistepScheduler": {**_DPM_SOLVER, "prediction_type": ("prediction_type", _EDM_PREDICTIONS)},
    "EDMEulerScheduler": {"prediction_type": ("prediction_type", _EDM_PREDICTIONS)},
}
"""Keys that only one scheduler class has: the field, and the translation of its values."""

_BETAS_ALONE: Mapping[str, tuple[Any, ...]] = {
    "use_flow_sigmas": (False, None),
    "use_dynamic_shifting": (False, None),
}

_SUPPORTED_VALUES: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "EulerDiscreteScheduler": {
        "interpolation_type": ("linear",),
        "timestep_type": ("discrete",),
        "s_churn": (0.0, None),
    },
    "DPMSolverMultistepScheduler": _BETAS_ALONE,
    "DPMSolverSinglestepScheduler": {
        **_BETAS_ALONE,
        "algorithm_type": ("dpmsolver++", "dpmsolver", "sde-dpmsolver++", "deis"),
    },
    "DEISMultistepScheduler": {
        **_BETAS_ALONE,
        "algorithm_type": ("deis", "dpmsolver", "dpmsolver++"),  # diffusers, too, reads all as deis
        "solver_type": ("logrho", "midpoint", "heun", "bh1", "bh2"),
    },
    "IPNDMScheduler": {"trained_betas": (None,)},
    "EDMDPMSolverMultistepScheduler": {
        "algorithm_type": ("dpmsolver++", "sde-dpmsolver++", "deis"),
        "thresholding": (False, None),
    },
    "UniPCMultistepScheduler": {
        **_BETAS_ALONE,
        "solver_p": (None,),
    },
    "FlowMatchEulerDiscreteScheduler": {"invert_sigmas": (False, None)},
    "LTXEulerAncestralRFScheduler": {"invert_sigmas": (False, None), "s_noise": (1.0,)},
    "TCDScheduler": {"thresholding": (False, None)},  # which theirs does not do
    "FlowMatchLCMScheduler": {"invert_sigmas": (False, None), "scale_factors": (None, [])},
    **FLOW_VALUES,
}
"""By scheduler class: the values that are supported of keys that choose a variant of the sampler."""


def fields_from_diffusers(keys: Mapping[str, Any], scheduler_class: str, valid: Set[str]) -> dict[str, Any]:
    """Translate the keys of a scheduler file into the config fields in ``valid``. Other keys are ignored.

    Raises ConfigError, naming the key, for an unsupported value and for a key that looks misspelt.
    """
    fields: dict[str, Any] = {}
    own = _BY_CLASS.get(scheduler_class, {})
    for key, value in keys.items():
        _refuse_unsupported(scheduler_class, key, value)
        field = _FIELD_OF_KEY.get(key)
        if (value is None and key in _NULL_IS_DEFAULT) or (key, value) == ("lambda_min_clipped", -math.inf):
            continue
        if key in own:
            name, values = own[key]
            fields[name] = _translated(key, value, values)
        elif field is None:
            _refuse_misspelt(key)
        elif field in valid:
            fields[field] = _translated(key, value, _TRANSLATED_VALUES[key]) if key in _TRANSLATED_VALUES else value
    if "dynamic_threshold_ratio" in valid:
        fields |= _thresholding(keys)
    return fields


def _thresholding(keys: Mapping[str, Any]) -> dict[str, Any]:
    wanted = keys.get("thresholding", False)
    if not isinstance(wanted, bool):
        raise ConfigError(f"thresholding must be true or false, not {shown(wanted)}")
    ratio = keys.get("dynamic_thresholding_ratio")
    return {"dynamic_threshold_ratio": 0.995 if ratio is None else ratio} if wanted else {}


def field_of_key(key: str) -> str | None:
    """The field that a key of diffusers sets; None for other keys."""
    return {**_FIELD_OF_KEY, **_THRESHOLDING}.get(key)


def with_diffusers_key(message: str) -> str:
    """Replace the config field at the beginning of an error message by its key in the scheduler file."""
    for key, field in {**_FIELD_OF_KEY, **_THRESHOLDING}.items():
        if message.startswith(f"{field} "):
            return key + message.removeprefix(field)
    return message


def _translated(key: str, value: Any, values: Mapping[Any, Any]) -> Any:
    for theirs, ours in values.items():
        if value == theirs:
            return ours
    raise unknown_value(key, value, [str(theirs) for theirs in values])


def _refuse_unsupported(scheduler_class: str, key: str, value: Any) -> None:
    supported = _SUPPORTED_VALUES.get(scheduler_class, {}).get(key)
    if supported is not None and value not in supported:
        raise NotBuiltError(f"{key} {shown(value)} of {scheduler_class} is not supported: only {supported[0]!r} is")


def _refuse_misspelt(key: str) -> None:
    """Raise ConfigError for a key that is almost a known key, or is the name of a field instead of its key."""
    by_field = {field: name for name, field in {**_FIELD_OF_KEY, **_THRESHOLDING}.items()}
    known = [*_FIELD_OF_KEY, *_THRESHOLDING]
    if key in known:
        return
    nearest = [by_field[key]] if key in by_field else difflib.get_close_matches(key, known, n=1, cutoff=0.85)
    if nearest:
        raise ConfigError(f"key {shown(key)} is unknown. Did you mean {nearest[0]!r}?")
