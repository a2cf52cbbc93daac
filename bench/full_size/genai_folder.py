"""OpenVINO GenAI's folder, made from our bundle by OpenVINO and openvino-tokenizers, in their own environment."""

import importlib
import shutil
import sys
from pathlib import Path
from typing import Any

_NETWORKS = ("text_encoder", "unet", "vae_decoder")


def make(bundle: Path, source: Path, out: Path) -> None:
    """Write each network as OpenVINO's files in float32, the tokenizer as a network, and the configs of the source."""
    openvino = importlib.import_module("openvino")
    for name in _NETWORKS:
        network = openvino.Core().read_model(bundle / name / "model.onnx")
        if name == "unet":
            _widen_timestep(network)
        (out / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(bundle / name / "config.json", out / name)
        openvino.save_model(network, out / name / "openvino_model.xml", compress_to_fp16=False)
    _tokenizer(openvino, source / "tokenizer", out / "tokenizer")
    shutil.copytree(source / "scheduler", out / "scheduler", dirs_exist_ok=True)
    shutil.copy(source / "model_index.json", out)


def _widen_timestep(network: Any) -> None:
    """Our UNet takes a timestep for each row; GenAI gives one for all."""
    operators = importlib.import_module("openvino.opset13")
    sample, timestep = (network.input(name).get_node() for name in ("sample", "timestep"))
    readers = list(timestep.output(0).get_target_inputs())
    rows = operators.gather(operators.shape_of(sample), [0], 0)
    widened = operators.broadcast(timestep, rows)
    for reader in readers:
        reader.replace_source_output(widened.output(0))


def _tokenizer(openvino: Any, folder: Path, out: Path) -> None:
    transformers, tokenizers = map(importlib.import_module, ("transformers", "openvino_tokenizers"))
    out.mkdir(parents=True, exist_ok=True)
    found = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    openvino.save_model(tokenizers.convert_tokenizer(found), out / "openvino_tokenizer.xml")


if __name__ == "__main__":
    make(*map(Path, sys.argv[1:4]))
