"""A sampler's config from a scheduler file, for the file's own sampler or another one."""

import os
from collections.abc import Mapping
from typing import Any

from ...config import read_json
from ...config.diffusers_names import FLOW_MATCHING, NotBuiltError, unknown_value
from .ddim_coefficients import DdimConfig
from .flow_euler import FlowEulerConfig
from .table import BY_CLASS, FLOW_SOLVERS, SamplerConfig, with_sampler


def sampler_config(source: str | os.PathLike[str] | Mapping[str, Any], sampler: str | None = None) -> SamplerConfig:
    """Read a ``scheduler_config.json`` (path or dict); its ``_class_name`` chooses the sampler, DDIM without it.

    With ``sampler``, returns the config of that sampler for the same model: the options that it shares with the file's
    sampler, and all keys of the file that it knows. If the file's own sampler is not built here, the file must have the
    betas of a noise schedule. Raises ConfigError as ``with_sampler`` does.
    """
    keys = read_json(source)
    if sampler is None:
        return _own_sampler(keys)
    own = _own_sampler_or_ddim(keys)
    config = with_sampler(own, sampler)
    return own if config is own else config.replace(**type(config).fields_of(keys))


def _own_sampler(keys: Mapping[str, Any]) -> SamplerConfig:
    name = keys.get("_class_name", "DDIMScheduler")
    if not isinstance(name, str) or name not in BY_CLASS:
        raise NotBuiltError(str(unknown_value("_class_name", name, BY_CLASS)))
    by_class = FLOW_SOLVERS if keys.get("use_flow_sigmas") and name in FLOW_SOLVERS else BY_CLASS
    return by_class[name].from_json(keys)


def _own_sampler_or_ddim(keys: Mapping[str, Any]) -> SamplerConfig:
    """The file's own sampler; if it is not built here, DDIM with the file's noise schedule, or Euler for flow."""
    try:
        return _own_sampler(keys)
    except NotBuiltError:
        if _is_flow_matching(keys):
            return FlowEulerConfig.from_json(keys)
        if not _has_betas(keys):
            raise
    # The schedulers that are not built do not clip unless their file says so; DDIM does.
    return DdimConfig.from_json({"clip_sample": False, **keys})


def _has_betas(keys: Mapping[str, Any]) -> bool:
    """Whether the noise schedule is that of discrete betas, with nothing left to a scheduler's own defaults."""
    if keys.get("snr_shift_scale") is not None:  # CogVideoX changes ᾱ by it
        return False
    ends = {"beta_start", "beta_end"} <= keys.keys() or keys.get("beta_schedule") == "squaredcos_cap_v2"
    return keys.get("trained_betas") is not None or ("beta_schedule" in keys and ends)


def _is_flow_matching(keys: Mapping[str, Any]) -> bool:
    name = keys.get("_class_name")
    flow = isinstance(name, str) and name in FLOW_MATCHING
    return flow or bool(keys.get("use_flow_sigmas")) or keys.get("prediction_type") == "flow_prediction"
