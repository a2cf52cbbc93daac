"""Options of the solvers in log-SNR time for flow matching: ``use_flow_sigmas`` of DPM-Solver, UniPC and DEIS."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import shown
from .diffusers_keys import fields_from_diffusers
from .diffusers_names import NotBuiltError
from .flow import FlowConfig, without_betas_names
from .flow_keys import with_flow_sigmas
from .noise_levels import FinalSigma
from .solver import MultistepConfig


@dataclass(frozen=True, kw_only=True)
class FlowSolverConfig(MultistepConfig, FlowConfig):
    """Options of the solvers in log-SNR time for models of flow matching.

    The times of a run are whole: T·t rounded down, as in diffusers.
    """

    starts_at_noise: ClassVar[bool] = False
    """Whether the first time before the shift is 1, not 1 - 1/T (diffusers' rule)."""

    final_sigma: FinalSigma = "zero"
    """t after the last step: 0 (``zero``) or that of the last call (``sigma_min``)."""

    @classmethod
    def fields_of(cls, keys: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that the ``keys`` of a scheduler file set. Raises ConfigError as ``from_json`` does."""
        prediction, rules = keys.get("prediction_type", "epsilon"), ""
        if keys.get("use_flow_sigmas"):
            rules = with_flow_sigmas(cls.scheduler_class)
            if prediction != "flow_prediction":
                raise NotBuiltError(
                    f"prediction_type {shown(prediction)} of {rules} is not supported: only 'flow_prediction' is"
                )
        valid = {field.name for field in dataclasses.fields(cls)}
        return fields_from_diffusers(without_betas_names(keys), rules, valid)
