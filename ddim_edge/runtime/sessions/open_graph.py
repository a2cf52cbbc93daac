"""What a session needs of a graph that a runtime has opened.

ONNX Runtime's ``InferenceSession`` fits as it is, so that its calls cost nothing more. Another runtime brings a class
with these three methods. Everything that callers rely on (names, types, shapes, casts, errors) is checked by Session.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ...arrays import Array


class DeclaredTensor(Protocol):
    """An input or output, as the graph declares it."""

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str:
        """The type by ONNX Runtime's name, such as "tensor(float)"."""

    @property
    def shape(self) -> Sequence[int | str | None]:
        """A fixed dimension as a number, a free one as a name, or None."""


class OpenGraph(Protocol):
    """A graph that a runtime has opened on one device."""

    def get_inputs(self) -> Sequence[DeclaredTensor]:
        """The inputs, in the graph's order."""

    def get_outputs(self) -> Sequence[DeclaredTensor]:
        """The outputs, in the graph's order."""

    def run(
        self, output_names: Sequence[str], input_feed: Mapping[str, Array], run_options: Any = None, /
    ) -> Sequence[Array]:
        """Run the graph once, and return the named outputs. Later calls do not write to the arrays returned.

        ``input_feed``: contiguous arrays of the declared types, by name. ``run_options``: ONNX Runtime's, or None.
        Raises the runtime's own exceptions.
        """
