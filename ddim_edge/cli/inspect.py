"""``ddim-edge inspect``: shows a model's graphs and explains its configuration."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ..bundle.bundle import Bundle
from ..bundle.format import FORMAT
from ..bundle.json_files import read_optional
from ..bundle.layout import EXPORT_RECORD, FP32_MODEL, MODEL, SHALLOW_MODEL, STEP_MODEL, UNET, is_lora_input
from ..bundle.output import Output
from ..bundle.presets import options_of
from ..bundle.read import open_bundle
from ..bundle.verify import verify_files
from ..diffusion.samplers import changed_options
from ..errors import ConfigError
from ..generation.conditioning import fault_of
from ..generation.requests.named_arrays import described
from ..graphs.external_data import check_onnx_file, huggingface_blobs
from ..graphs.inputs import quantized_operators
from ..networks.components import unet_graph
from ..runtime.compiled.choosing import chosen
from ..runtime.compiled.entry import verify_compiled
from ..runtime.providers.precision import CHOSEN_BY_PROVIDER, FLOAT32
from ..runtime.sessions.session import Session
from ..runtime.sessions.tensors import TensorInfo
from .device_options import auto_option
from .lora_text import lora_facts, lora_lines
from .output_text import output_lines
from .policy_text import policy_facts, policy_lines
from .scheduler_text import scheduler_lines

_GRAPHS = (f"*/{MODEL}", f"*/{FP32_MODEL}", f"{UNET.name}/{STEP_MODEL}", f"{UNET.name}/{SHALLOW_MODEL}")

_FIGURES = ("distance", "times_faster")
"""What the text says of what was measured with a preset."""


@click.command("inspect")
@click.argument("model", default="fashion-mnist")
@click.option(
    "--json", "as_json", is_flag=True, envvar="DDIM_EDGE_INSPECT_JSON", help="Print one machine-readable line."
)
@click.option(
    "--verify",
    is_flag=True,
    help="Read every file, and compare its hash with that which the export or build recorded.",
)
def inspect_command(model: str, as_json: bool, verify: bool) -> None:
    """Show MODEL's graphs, and what its scheduler file means.

    MODEL is a bundled model (default: fashion-mnist), or a bundle: a folder that `ddim-edge export` wrote.

    For each graph: its size, and the names, types and shapes of its inputs and outputs.

    \b
    Examples:
      ddim-edge inspect fashion-mnist
      ddim-edge inspect my-bundle/ --verify
    """
    bundle = open_bundle(model)
    # First, so that the hash below is that of what was read now.
    verified = _verified(bundle.folder) if verify else {}
    facts: dict[str, Any] = {
        "model": bundle.name,
        "folder": str(bundle.folder),
        "linked_to": _linked_to(bundle.folder),
        "sha256": bundle.sha256,
        "format": bundle.format,
        "sample_shape": list(bundle.sample_shape),
        "image_shape": list(bundle.image_shape()) if bundle.output.is_image else None,
        "output": _output(bundle.output),
        "conditioning": {name: described(name, found) for name, found in bundle.free_inputs.items()},
        "text": bundle.inputs.text,
        "labels": list(bundle.labels),
        "null_class": bundle.null_class,
        "graphs": list(_graphs(bundle)),
        "policy": policy_facts(bundle),
        "step_cache": _step_cache(bundle.folder),
        "scheduler": _scheduler_facts(bundle),
        "num_steps": bundle.num_steps,
        "defaults": bundle.defaults.to_json(),
        "presets": dict(bundle.presets),
        "loras": lora_facts(bundle),
        "measured": _measured(bundle),
        **verified,
    }
    click.echo(json.dumps(facts) if as_json else _text(facts, bundle))


def _verified(folder: Path) -> dict[str, int]:
    """Read all files that the export and the build recorded. The numbers of files, if all are as they were."""
    return {"verified": verify_files(folder), "verified_compiled": verify_compiled(folder)}


def _output(output: Output) -> dict[str, Any]:
    """What output.json says, without what it leaves open."""
    return {name: value for name, value in asdict(output).items() if value}


def _scheduler_facts(bundle: Bundle) -> dict[str, Any]:
    """The model's own sampler and its options, or why it is not built."""
    try:
        return {"sampler": bundle.own_sampler.name, **changed_options(bundle.own_sampler)}
    except ConfigError as error:
        return {"sampler": None, "error": str(error)}


def _measured(bundle: Bundle) -> dict[str, Any]:
    """What ``auto`` takes of what was measured on this machine, by the value of --precision."""
    graph = unet_graph(bundle)
    rows = {precision: chosen(graph, precision).row for precision in (FLOAT32, CHOSEN_BY_PROVIDER)}
    return {precision: {**asdict(row), "name": row.name} for precision, row in rows.items() if row is not None}


def _linked_to(folder: Path) -> str | None:
    """The folder of the Hugging Face cache that files of the bundle are links to; None where none is."""
    blobs = huggingface_blobs(folder)
    return str(blobs) if any(path.resolve().parent == blobs for path in folder.glob("*/*")) else None


def _graphs(bundle: Bundle) -> Iterator[dict[str, Any]]:
    """Describe all graphs. Weights that two graphs share are counted in the size of the first."""
    root = bundle.folder
    counted: set[Path] = set()
    paths = [path for name in _GRAPHS for path in root.glob(name)]
    for path in sorted(paths, key=lambda path: (path.parent, path.stem)):
        files = {path, *check_onnx_file(path, root)}
        yield _graph(path, files - counted, bundle)
        counted |= files


def _step_cache(folder: Path) -> dict[str, Any] | None:
    """The branch and the share of the parameters of the shallow graph, as its export recorded; None without one."""
    if not (folder / UNET.name / SHALLOW_MODEL).is_file():
        return None
    records = (read_optional(place / EXPORT_RECORD).get("verification") or {} for place in (folder / UNET.name, folder))
    recorded: dict[str, Any] = next((record["step_cache"] for record in records if record.get("step_cache")), {})
    return {key: recorded.get(key) for key in ("branch", "parameters")}


def _graph(path: Path, files: set[Path], bundle: Bundle) -> dict[str, Any]:
    session = Session(path, "cpu")
    return {
        "name": path.stem.replace("model", path.parent.name),
        "bytes": sum(file.stat().st_size for file in files),
        "quantized": quantized_operators(path),
        "inputs": [_tensor(info) for info in session.inputs.values()],
        "outputs": [_tensor(info) for info in session.outputs.values()],
        "fault": fault_of(bundle, session) if path == bundle.folder / bundle.denoiser.graph else None,
    }


def _tensor(info: TensorInfo) -> dict[str, Any]:
    return {"name": info.name, "dtype": str(info.dtype), "shape": list(info.shape)}


def _text(facts: dict[str, Any], bundle: Bundle) -> str:
    lines = [f"{bundle.name}  {facts['folder']}", f"sha256 {facts['sha256']}", _format_line(bundle.format)]
    if facts["linked_to"]:
        lines.append(f"its files are links to the Hugging Face cache: {facts['linked_to']}")
    for graph in facts["graphs"]:
        lines.append(f"\n{graph['name']}  {graph['bytes'] / 1e6:.1f} MB{_quantized(graph['quantized'])}")
        for role in ("inputs", "outputs"):
            lines += [
                f"  {role[:-1]:7}{t['name']}  {t['dtype']} {_shape(t['shape'])}"
                for t in graph[role]
                if not is_lora_input(t["name"])
            ]
    lines += ["", *(f"it does not run: {graph['fault']}" for graph in facts["graphs"] if graph["fault"])]
    lines += [*output_lines(bundle), *policy_lines(facts["policy"]), *_step_cache_lines(facts["step_cache"]), ""]
    own = bundle.scheduler
    lines += scheduler_lines(own, bundle.num_steps) if own else [f"scheduler {facts['scheduler']['error']}"]
    lines += [f"preset {name}: {_options(preset)}" for name, preset in bundle.presets.items()]
    lines += lora_lines(facts["loras"])
    for precision, row in facts["measured"].items():
        lines.append(f"{auto_option(precision)} takes {row['name']}, as measured on this machine")
    if "verified" in facts:
        lines.append(f"\nall {facts['verified']} files are as they were exported")
        if facts["verified_compiled"]:
            lines.append(f"all {facts['verified_compiled']} files in compiled/ are as they were built")
    return "\n".join(lines)


def _format_line(number: int | None) -> str:
    if number is None:
        return "no format number: another program exported it"
    return f"bundle format {number}" + ("" if number == FORMAT else f"; exports have {FORMAT} now")


def _step_cache_lines(facts: dict[str, Any] | None) -> list[str]:
    """The line about the shallow graph."""
    if facts is None:
        return []
    if None in facts.values():
        return ["has a shallow graph for --cache deep, of which its export.json says nothing"]
    return [f"--cache deep: branch {facts['branch']}, a shallow call has {facts['parameters']:.1%} of the parameters"]


def _options(preset: Mapping[str, Any]) -> str:
    """A preset's options, and what was measured with them."""
    chosen = ", ".join(f"{name} {value}" for name, value in options_of(preset).items())
    measured = preset.get("measured") or {}
    figures = ", ".join(f"{name.replace('_', ' ')} {measured[name]}" for name in _FIGURES if name in measured)
    return f"{chosen} ({figures})" if figures else chosen


def _quantized(operators: dict[str, int]) -> str:
    """The graph's operators on quantized values."""
    text = ", ".join(f"{count} {name}" for name, count in operators.items())
    if "DynamicQuantizeLinear" in operators:
        text += "; values quantized at each call: on a CPU, 1.8 times slower than float32 and more"
    return f", quantized: {text}" if text else ""


def _shape(dims: list[int | str]) -> str:
    return f"({', '.join(map(str, dims))})"
