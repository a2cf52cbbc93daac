"""What Triton's Python backend gives to model.py, without Triton. Importing it registers it as that module."""

import json
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class _Taken:
    """What takes a capsule over, as the backend does."""

    capsule: Any

    def __dlpack__(self, **_: object) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


@dataclass
class Tensor:
    """An output."""

    name: str
    array: NDArray[Any]

    @classmethod
    def from_dlpack(cls, name: str, capsule: Any) -> "Tensor":
        return cls(name, np.from_dlpack(_Taken(capsule)))


class TritonError(Exception):
    """An error with a code."""

    NOT_FOUND, INVALID_ARG, INTERNAL, UNAVAILABLE, CANCELLED = (
        "not found",
        "invalid",
        "internal",
        "unavailable",
        "cancel",
    )

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message, self.code = message, code


@dataclass
class InferenceResponse:
    """Tensors, or an error."""

    output_tensors: Sequence[Tensor] = ()
    error: TritonError | None = None

    @property
    def outputs(self) -> dict[str, NDArray[Any]]:
        return {tensor.name: tensor.array for tensor in self.output_tensors}


@dataclass
class Sender:
    """Collects the responses of one request."""

    responses: list[InferenceResponse] = field(default_factory=list)
    cancelled: bool = False
    got_one: threading.Event = field(default_factory=threading.Event)
    got_all: threading.Event = field(default_factory=threading.Event)

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        assert not self.got_all.is_set(), "a response after the final flag"
        if response is not None:
            self.responses.append(response)
            self.got_one.set()
        if flags == 1:
            self.got_all.set()

    def is_cancelled(self) -> bool:
        return self.cancelled

    def wait(self) -> list[InferenceResponse]:
        assert self.got_all.wait(60)
        return self.responses


class Request:
    """A request with parameters."""

    def __init__(self, **parameters: Any) -> None:
        self.sender = Sender()
        self._parameters = json.dumps(parameters)

    def parameters(self) -> str:
        return self._parameters

    def get_response_sender(self) -> Sender:
        return self.sender


def _register() -> None:
    module = ModuleType("triton_python_backend_utils")
    names = {"Tensor": Tensor, "TritonError": TritonError, "InferenceResponse": InferenceResponse}
    vars(module).update(names, TRITONSERVER_RESPONSE_COMPLETE_FINAL=1)
    sys.modules[module.__name__] = module


_register()
