"""KServe's inference requests, to a model of arrays and to a policy, whose values or bytes are damaged."""

import math
import random
import struct
from collections.abc import Sequence
from typing import Any

from .bodies import Asked
from .case import as_json
from .values import changed, damaged_bytes, damaged_json

_HEADER = "Inference-Header-Content-Length"
_INPUTS = {
    "arrays": (("global_cond", (2, 3)),),
    "push": (("observation.state", (1, 2, 3)), ("observation.environment_state", (1, 2, 2))),
}


def draw(generator: random.Random) -> Asked:
    """A request in JSON, or with binary data."""
    model = generator.choice([*_INPUTS])
    is_binary = generator.random() < 0.5
    numbers = [[generator.uniform(-1, 1) for _ in range(math.prod(shape))] for _, shape in _INPUTS[model]]
    head = _head(generator, model, numbers, is_binary=is_binary)
    path = f"/v2/models/{model}/infer"
    if not is_binary:
        body = damaged_json(generator, head) if generator.random() < 0.9 else as_json(head)
        return Asked("infer", path, "application/json", body)
    text = as_json(changed(generator, head) if generator.random() < 0.6 else head)
    arrays = b"".join(struct.pack(f"<{len(each)}f", *each) for each in numbers)
    if generator.random() < 0.3:
        arrays = damaged_bytes(generator, arrays)
    length = str(len(text)) if generator.random() < 0.8 else generator.choice(["0", "-1", "x", "9" * 30, "7", "1e3"])
    return Asked("infer", path, "application/octet-stream", text + arrays, headers=((_HEADER, length),))


def _head(generator: random.Random, model: str, numbers: Sequence[list[float]], *, is_binary: bool) -> dict[str, Any]:
    inputs = []
    for (name, shape), each in zip(_INPUTS[model], numbers, strict=True):
        contents = {"parameters": {"binary_data_size": 4 * len(each)}} if is_binary else {"data": each}
        inputs.append({"name": name, "datatype": "FP32", "shape": list(shape), **contents})
    parameters: dict[str, Any] = {"seed": generator.randrange(100), "num_inference_steps": generator.randint(1, 8)}
    if model == "push":
        parameters |= {"decision": generator.randrange(9), "range_factor": 1e6}
    output = {"name": "actions" if model == "push" else "samples", "parameters": {"binary_data": is_binary}}
    return {"id": "one", "parameters": parameters, "inputs": inputs, "outputs": [output]}
