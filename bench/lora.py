"""``python -m bench.lora``: what LoRA slots cost in a UNet of random weights, and what grouping rows by adapter saves.

All sides run in turn in this process, each call on the same rows: the network without slots; with empty ones; one
adapter for all rows; another one for each row, in one call of all adapters and in a call for each; and ONNX Runtime's
own LoraAdapter, which is of a whole call. The networks are exported once, to bench/cache/lora/.
"""

import importlib
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import onnxruntime

from ddim_edge.bundle.layout import LORA_WEIGHTS
from ddim_edge.bundle.lora_slots import declared_slots, read_slots
from ddim_edge.config import read_json
from ddim_edge.lora.adapter import UsedLora, adapter_path, open_adapter, used_lora
from ddim_edge.lora.bank import open_bank
from ddim_edge.lora.safetensors import write_safetensors
from ddim_edge.networks.denoiser import Denoiser
from ddim_edge.networks.row import Row
from ddim_edge.runtime.sessions.session import Session
from tests.text.tokenizer_folders import write_tokenizer

from . import results, tables
from .harness import compare, interleaved

SUBJECT = "lora"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime")
FOLDER = results.CACHE / "lora"
TEXT, SIDE = 512, 32
_UNET: dict[str, Any] = {
    "sample_size": SIDE,
    "block_out_channels": (128, 256, 512),
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": TEXT,
    "attention_head_dim": 8,
}
RANK = 16
Calls = Mapping[str, Callable[[], float]]


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Rounds of all sides.")
@click.option("--rows", default=8, show_default=True, help="Rows of a call, each with its own adapter at most.")
def main(rounds: int, rows: int) -> None:
    """Measure, write bench/results/lora.json and render bench/README.md."""
    plain, slots = (_export(name, count) for name, count in (("plain", None), ("slots", rows)))
    loras = [_adapter(slots, at) for at in range(rows)]
    taken = interleaved(_sides(plain, slots, loras), rounds, click.echo, warm_up=1)
    tables.publish(SUBJECT, _record(taken, open_adapter(slots, "a0").nbytes, rows), PACKAGES)


def _record(taken: Mapping[str, list[float]], adapter_bytes: int, rows: int) -> results.Record:
    sides = []
    for name, seconds in taken.items():
        plain = taken[f"{name.partition(':')[0]}: no slots"]
        sides.append({"name": name, "seconds": statistics.median(seconds), **compare(plain, seconds)})
    size = (FOLDER / "plain/unet/model.onnx").stat().st_size
    return {"sides": sides, "rank": RANK, "rows": rows, "adapter_bytes": adapter_bytes, "network_bytes": size}


def _sides(plain: Path, slots: Path, loras: list[UsedLora]) -> Calls:
    without, bank = map(_opened, (plain, slots))
    count, native = len(loras), _native(slots, loras)
    alone: list[tuple[UsedLora, ...]] = [(lora,) for lora in loras]
    one: list[tuple[UsedLora, ...]] = [(loras[0],)]
    return {
        "one row: no slots": partial(_timed, without, [()]),
        "one row: empty slots": partial(_timed, bank, [()]),
        "one row: an adapter": partial(_timed, bank, one),
        "one row: an adapter, by LoraAdapter": lambda: native(0),
        "all rows: no slots": partial(_timed, without, [()] * count),
        "all rows: empty slots": partial(_timed, bank, [()] * count),
        "all rows: one adapter": partial(_timed, bank, one * count),
        "all rows: each its own, in one call": partial(_timed, bank, alone, count),
        "all rows: each its own, a call each": partial(_timed, bank, alone),
        "all rows: each its own, by LoraAdapter": lambda: sum(map(native, range(count))),
    }


def _opened(folder: Path) -> Denoiser:
    session = Session(folder / "unet/model.onnx", "cpu")
    return Denoiser(session, bank=open_bank(folder, session, read_slots(read_json(folder / "unet/config.json"))))


def _timed(denoiser: Denoiser, loras: list[tuple[UsedLora, ...]], most: int | None = None) -> float:
    """Seconds of a step of rows with these adapters; ``most`` different ones share a call, None: equal ones alone."""
    rows = [
        Row(_noise(4, SIDE, SIDE), 500.0, {"encoder_hidden_states": _TOLD}, None, 1.0, loras=each) for each in loras
    ]
    with patch.object(denoiser, "_most_adapters", most):
        denoiser.predict(rows)  # joins the matrices, which steps after the first need not
        began = time.perf_counter()
        denoiser.predict(rows)
        return time.perf_counter() - began


def _native(bundle: Path, loras: list[UsedLora]) -> Callable[[int], float]:
    """Seconds of a call of one row with an adapter, by ONNX Runtime's LoraAdapter."""
    session = onnxruntime.InferenceSession(bundle / "unet/model.onnx", providers=["CPUExecutionProvider"])
    options = [_run_options(bundle, lora, session) for lora in loras]
    names = [value.name for value in session.get_outputs()]
    feeds = {
        "sample": _noise(4, SIDE, SIDE),
        "timestep": np.full(1, 500, np.float32),
        "encoder_hidden_states": _TOLD,
        LORA_WEIGHTS: np.ones((1, RANK), np.float32),
    }

    def call(index: int) -> float:
        began = time.perf_counter()
        # Its run() refuses a call without the inputs that are the adapter's.
        session._sess.run(names, feeds, options[index][0])
        return time.perf_counter() - began

    return call


def _run_options(bundle: Path, lora: UsedLora, session: Any) -> tuple[Any, Any]:
    """The options of a call with an adapter; and the adapter, which must stay alive."""
    given = open_adapter(bundle, lora.name).inputs("unet")
    path = FOLDER / f"{lora.name}.onnx_adapter"
    file = onnxruntime.AdapterFormat()
    file.set_adapter_version(1)
    file.set_model_version(1)
    inputs = [value.name for value in session.get_inputs()]
    file.set_parameters(
        {name: onnxruntime.OrtValue.ortvalue_from_numpy(np.array(given[name])) for name in inputs if name in given}
    )
    file.export_adapter(str(path))
    adapter, options = onnxruntime.LoraAdapter(), onnxruntime.RunOptions()
    adapter.Load(str(path))
    options.add_active_adapter(adapter)
    return options, adapter


def _adapter(bundle: Path, index: int) -> UsedLora:
    """A random adapter of every layer that has slots."""
    name, random = f"a{index}", np.random.default_rng(index)
    path = adapter_path(bundle, name)
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        declared = declared_slots(bundle)["unet"]
        shapes = {key: each.shape for key, each in declared.items() if key != LORA_WEIGHTS}
        arrays = {
            f"unet/{key}": 0.02 * random.standard_normal([RANK if isinstance(axis, str) else axis for axis in shape])
            for key, shape in shapes.items()
        }
        write_safetensors(path, {key: array.astype(np.float32) for key, array in arrays.items()}, {"rank": str(RANK)})
    return used_lora(bundle, name, 1.0)


def _export(name: str, slots: int | None) -> Path:
    """A conditional UNet of random weights, exported; a run of before is taken again."""
    out = FOLDER / name
    if not (out / "model_index.json").exists():
        from ddim_edge_export import export_folder

        rank = None if slots is None else RANK
        export_folder(_source(), out, components=["unet"], lora_slots=slots, lora_rank=rank)
    return out


def _source() -> Path:
    """A pipeline of random weights; its other networks are as small as they can be."""
    folder = FOLDER / "source"
    if not (folder / "model_index.json").exists():
        torch, diffusers, transformers = map(importlib.import_module, ("torch", "diffusers", "transformers"))
        torch.manual_seed(0)
        written = write_tokenizer(folder / "tokenizer")
        text = {"hidden_size": TEXT, "num_hidden_layers": 1, "num_attention_heads": 8, "intermediate_size": TEXT}
        pipeline = diffusers.StableDiffusionPipeline(
            text_encoder=transformers.CLIPTextModel(transformers.CLIPTextConfig(**text)),
            tokenizer=transformers.CLIPTokenizer.from_pretrained(written),
            unet=diffusers.UNet2DConditionModel(**_UNET),
            vae=diffusers.AutoencoderKL(latent_channels=4, norm_num_groups=2, block_out_channels=(4,)),
            scheduler=diffusers.DDIMScheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.save_pretrained(folder)
    return folder


def _noise(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal((1, *shape), np.float32)


_TOLD = _noise(77, TEXT)

if __name__ == "__main__":
    main()
