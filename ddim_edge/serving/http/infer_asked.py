"""What an inference request asks of a model or of a policy, and what tensors these have."""

import json
import math
import secrets
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...bundle.bundle import Bundle
from ...bundle.policy_config import PolicyConfig
from ...diffusion.samplers import schedule_of
from ...errors import choose_from, listed
from ...generation.requests.named_arrays import feed_type, fitted
from ...generation.requests.options import recipe_of
from ...generation.requests.request import Request
from ...policy.stacked import unstacked
from ...policy.stateless import Decisions, decisions
from ..errors import BadRequest
from ..scheduling.async_engine import AsyncEngine
from ..scheduling.submission import Maker
from ..settings import Settings
from .body_to_request import check_steps, request_from_body
from .infer_body import BINARY_OUTPUT, Infer
from .parameters import PolicyParameters, parameters_of
from .schemas import ImageBody
from .tensors import DATATYPES, datatype_of

IMAGES, SAMPLES, ACTIONS, IS_SAFE = "images", "samples", "actions", "is_safe"
_MOST_ROWS, _MOST_JSON_NUMBERS = 256, 2**16
"""Of a response: writing JSON stops all other requests, about 40 ms for so many numbers."""
_FREE = -1
"""Instead of the length of an axis that is not fixed."""


class TensorFacts(NamedTuple):
    """A tensor of a model, as its metadata has it."""

    name: str
    datatype: str
    shape: list[int]


@dataclass(frozen=True)
class Asked:
    """A checked inference request.

    Attributes:
        bundle: the model.
        request: with an image for each row of the outputs.
        decisions: those of a policy; None for other models.
        output: the name of what it returns.
        prompt: the text, if there is one.
        timeout_s: the request's own limit in seconds.
    """

    bundle: Bundle
    request: Request
    decisions: Decisions | None
    output: str
    prompt: str
    timeout_s: float | None

    def told(self, maker: Maker) -> dict[str, Any]:
        """The parameters of the response: what is needed to get the same outputs again."""
        if self.decisions is None:
            recipe = recipe_of(self.bundle, self.request, maker.model_sha256, precision=maker.precision)
            return {"recipe": json.dumps(recipe)}
        steps = {"num_inference_steps": self.request.num_steps, "sampler": self.request.sampler.name}
        return {"seed": self.request.seed, "decision": self.decisions.decision, **steps}


def inputs_of(bundle: Bundle, policy: PolicyConfig | None) -> list[TensorFacts]:
    """What a model takes by name; the first axis is that of rows."""
    if policy is None:
        return [
            TensorFacts(name, datatype_of(feed_type(found)), [_FREE, *map(_length, found.shape[1:])])
            for name, found in bundle.free_inputs.items()
        ]
    times = policy.n_obs_steps
    return [TensorFacts(name, "FP32", [_FREE, times, *seen.shape]) for name, seen in policy.observations.items()]


def outputs_of(bundle: Bundle, policy: PolicyConfig | None) -> list[TensorFacts]:
    """What a model returns; the first axis is that of rows."""
    if policy is not None:
        return [TensorFacts(ACTIONS, "FP32", [_FREE, policy.n_action_steps, policy.action_dim])]
    if not bundle.output.is_image:
        return [TensorFacts(SAMPLES, "FP32", [_FREE, *bundle.sample_shape])]
    channels, *sides = bundle.image_shape()
    safe = [TensorFacts(IS_SAFE, "BOOL", [_FREE])] if bundle.has_safety_checker else []
    return [TensorFacts(IMAGES, "UINT8", [_FREE, *sides, channels]), *safe]


def check_infer(engine: AsyncEngine, name: str, given: Infer) -> Asked:
    """Check a request for the model ``name``. Raises BadRequest and ConfigError."""
    bundle, policy = engine.catalogue.bundles[name], engine.catalogue.policies.get(name)
    inputs, outputs = inputs_of(bundle, policy), outputs_of(bundle, policy)
    _check_inputs(name, inputs, given)
    names = [tensor.name for tensor in outputs]
    for each in given.outputs:
        if each not in names:
            raise BadRequest(choose_from("output", each, names), param="outputs")
    asked = _of_model(engine, bundle, given) if policy is None else _of_policy(engine.settings, bundle, policy, given)
    _check_size(asked, outputs[0], given, engine.settings)
    return asked


def _check_inputs(name: str, wanted: list[TensorFacts], given: Infer) -> None:
    names = [tensor.name for tensor in wanted]
    for each in given.arrays:
        if not names:
            raise BadRequest(f"inputs: {name} takes none: give an empty list, and parameters", param="inputs")
        if each not in names:
            raise BadRequest(choose_from("input", each, names), param="inputs")
    missing = [f"{each.name} {each.datatype} {each.shape}" for each in wanted if each.name not in given.arrays]
    if missing:
        raise BadRequest(f"inputs: {name} also needs {listed(missing)}", param="inputs")


def _of_model(engine: AsyncEngine, bundle: Bundle, given: Infer) -> Asked:
    body = parameters_of(ImageBody, given.parameters)
    named = fitted(bundle, given.arrays) if given.arrays else None
    request = request_from_body(body, bundle, engine.settings, conditioning=named)
    output = IMAGES if bundle.output.is_image else SAMPLES
    return Asked(bundle, engine.within_memory(request, bundle.name), None, output, body.prompt, body.timeout_s)


def _of_policy(settings: Settings, bundle: Bundle, policy: PolicyConfig, given: Infer) -> Asked:
    body = parameters_of(PolicyParameters, given.parameters)
    seed = secrets.randbelow(2**31) if body.seed is None else body.seed
    seen, factor = unstacked(given.arrays, policy), body.range_factor
    decided = decisions(policy, seen, seed=seed, decision=body.decision, range_factor=factor)
    config = bundle.own_sampler if body.sampler is None else bundle.sampler(body.sampler)
    steps = body.num_inference_steps or bundle.default_steps(config)
    check_steps(steps, settings)
    schedule_of(config, steps)  # raises for a wrong number
    request = Request(num_images=len(decided.robots), num_steps=steps, seed=seed, sampler=config)
    return Asked(bundle, request, decided, ACTIONS, "", body.timeout_s)


def _check_size(asked: Asked, output: TensorFacts, given: Infer, settings: Settings) -> None:
    """Raise BadRequest for more rows than the server makes, and for more numbers than it writes as JSON."""
    rows, numbers = asked.request.num_images, math.prod(output.shape[1:])
    if asked.bundle.output.is_image:
        numbers = math.prod(asked.bundle.image_shape(asked.request.height, asked.request.width))
    most = min(_MOST_ROWS, max(1, settings.max_body_bytes // (numbers * DATATYPES[output.datatype].itemsize)))
    if rows > most:
        raise BadRequest(f"inputs: this server makes at most {most} rows of {output.name} a request, not {rows}")
    if given.outputs.get(output.name, given.binary) is False and rows * numbers > _MOST_JSON_NUMBERS:
        raise BadRequest(
            f"{output.name} has {rows * numbers} numbers, and JSON takes {_MOST_JSON_NUMBERS}: ask for binary data, "
            f"with the parameter {BINARY_OUTPUT}"
        )


def _length(side: int | str) -> int:
    return side if isinstance(side, int) else _FREE
