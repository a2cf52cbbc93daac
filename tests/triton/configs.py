"""The configurations of a model repository, read as Triton reads them."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2


def config_of(model: Path) -> Any:
    """The ModelConfig message of a model's folder. Raises ParseError for a text that is none."""
    text = (model / "config.pbtxt").read_text(encoding="utf-8")
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def sent_and_given(tensor: Any, rows: int, free: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape that a client sends for ``rows`` rows, 0 without batches, and the one that the graph gets.

    ``free`` is the length of free axes.
    """
    batch = (rows,) if rows else ()
    sent = batch + tuple(free if side == -1 else side for side in tensor.dims)
    return sent, batch + tuple(tensor.reshape.shape) if tensor.HasField("reshape") else sent
