"""Requests for inference, as JSON and as Triton's client has them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from tritonclient.http import InferInput
from tritonclient.utils import np_to_triton_dtype

from tests.helpers.array_bundles import CONDITION
from tests.helpers.tiny_bundles import Array

SHAPE, STEPS = (6, 2), {"seed": 3, "num_inference_steps": 4}
TOLD = np.arange(6, dtype=np.float32).reshape(2, 3)
"""What the model of arrays is given: two rows."""


def tensors(arrays: Mapping[str, Array], *, binary: bool = True) -> list[Any]:
    """The inputs of Triton's client."""
    made = []
    for name, array in arrays.items():
        made.append(InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)))
        made[-1].set_data_from_numpy(array, binary_data=binary)
    return made


def stacked(*seen: Mapping[str, Array]) -> dict[str, Array]:
    """Successive observations of one robot, (1, times, …) by name."""
    return {name: np.stack([each[name] for each in seen])[np.newaxis] for name in seen[0]}


def ask(client: TestClient, body: Mapping[str, Any], model: str = "arrays", **more: Any) -> Any:
    return client.post(f"/v2/models/{model}/infer", json=body, **more)


def named(array: NDArray[Any], name: str = CONDITION, **changes: Any) -> dict[str, Any]:
    tensor = {"name": name, "shape": list(array.shape), "datatype": "FP32", "data": array.ravel().tolist()}
    return {**tensor, **changes}
