"""Graphs whose weights lie in a file of their own: the entries that name it, and the file."""

import random

import onnx
from onnx import ModelProto

from . import base_bundles
from .base_bundles import run_or_inspect
from .case import OUTSIDE, Case, File, Special, special
from .values import ODD_TEXTS, damaged_bytes

_EXTERNAL = "unet/model.onnx_data"
_OUTSIDE_LOCATIONS = (f"../../../{OUTSIDE}", "/dev/zero", "/etc/passwd", f"./../../../{OUTSIDE}", f"//../{OUTSIDE}")
_LOCATIONS = (
    "",
    ".",
    "..",
    "model.onnx",
    "none",
    "a\x00b",
    "model.onnx_data/..",
    "../config.json",
    "x" * 5000,
    "./model.onnx_data",
)


def draw(generator: random.Random) -> Case:
    """A graph whose weights lie in another file: the entry changed, or the file."""
    whole = base_bundles.with_external_weights()
    files, data = dict[str, File](whole), whole[_EXTERNAL]
    model = onnx.load_from_string(whole["unet/model.onnx"])
    if generator.random() < 0.3:
        cut = data[: generator.randrange(len(data))]
        ways: list[File] = [special(generator), cut, damaged_bytes(generator, data)]
        files[_EXTERNAL] = generator.choice(ways)
        must_fail = isinstance(files[_EXTERNAL], Special)
    else:
        must_fail = _change_entries(generator, model)
    files["unet/model.onnx"] = model.SerializeToString()
    return Case(run_or_inspect(generator, is_text=False), base_bundles.in_bundle(files), must_fail)


def _change_entries(generator: random.Random, model: ModelProto) -> bool:
    """Change the entries of one tensor's external data; returns whether they lead out of the bundle."""
    tensor = generator.choice([tensor for tensor in model.graph.initializer if tensor.external_data])
    entries = {entry.key: entry for entry in tensor.external_data}
    key = generator.choice(["location", "location", "offset", "length", "checksum", "basepath"])
    odd = [
        "-1",
        "0",
        "1",
        "4096",
        "99999999999999999999",
        "9223372036854775807",
        "4611686018427387904",
        "x",
        "",
        "1.5",
        "０",
    ]
    leads_out = key == "location" and generator.random() < 0.5
    value = generator.choice(
        _OUTSIDE_LOCATIONS if leads_out else [*_LOCATIONS, *ODD_TEXTS] if key == "location" else odd
    )
    if key in entries:
        entries[key].value = value.encode("utf-8", "replace").decode()
    else:
        tensor.external_data.add(key=key, value=value)
    return leads_out
