"""``ddim-edge adopt``: makes a bundle around an ONNX graph that another program exported."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError, shown
from .environment import RepeatableOption
from .graph_tools import graph_tools


@click.command("adopt")
@click.argument("graph", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--scheduler",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="scheduler_config.json, with diffusers' keys: the noise levels that the network was trained on.",
)
@click.option(
    "--map",
    "names",
    cls=RepeatableOption,
    metavar="OURS=THEIRS",
    envvar="DDIM_EDGE_ADOPT_MAP",
    help="What an input of the graph is: sample=NAME, timestep=NAME, or another name for the conditioning NAME; "
    "repeatable. An input that is called sample or timestep needs none.",
)
@click.option("--output", metavar="NAME", help="The graph's output that is the prediction.  [default: the only one]")
@click.option(
    "--timestep",
    type=click.Choice(["index", "fraction", "sigma"]),
    default="index",
    help="What the graph is fed as its timestep: what the scheduler counts, the same divided by the number of training "
    "steps, or the noise level σ.",
)
@click.option(
    "--preconditioning",
    type=click.Choice(["outside", "inside"]),
    default="outside",
    help="For schedulers of σ-space: inside, where the graph takes the unscaled sample and returns the clean one.",
)
@click.option(
    "--sample-shape",
    metavar="AxBx…",
    help="The shape of one sample, without the batch, where the graph leaves it open, such as 3x64x64 or 16x2.",
)
@click.option(
    "--output-config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="output.json: what a sample is, with its axes, units and normalization.  [default: an image or an array, by "
    "its shape]",
)
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, envvar="DDIM_EDGE_ADOPT_JSON", help="Print one machine-readable line.")
def adopt_command(
    graph: Path, out: Path, names: tuple[str, ...], sample_shape: str | None, quiet: bool, as_json: bool, **options: Any
) -> None:
    """Make a bundle of GRAPH, which another program exported.

    The new folder OUT gets a copy of the graph, with our names of inputs and of the output, the scheduler's file and
    what a sample is. The graph's other inputs become conditioning by their names. ONNX Runtime runs the copy once
    before OUT appears. Weights in other files are copied, too. It needs the packages onnx and onnxscript, of the extra
    `export`, and no PyTorch.

    \b
    Examples:
      ddim-edge adopt denoiser.onnx bundle/ --scheduler scheduler_config.json
      ddim-edge adopt edm.onnx bundle/ --map sample=x --map timestep=sigma --scheduler edm.json \\
        --timestep sigma --preconditioning inside
    """
    adopted = _run(out, graph=graph, names=_names(names), shape=_shape(sample_shape), **options)
    facts = {
        "bundle": str(out),
        "bytes": adopted.size,
        "sample_shape": list(adopted.sample_shape),
        "conditioning": dict(adopted.conditioning),
        "sampler": adopted.sampler,
    }
    if not quiet:
        click.echo(json.dumps(facts) if as_json else _text(facts))


def _run(out: Path, **options: Any) -> Any:
    with graph_tools("adopt"):
        from ddim_edge_export import Adoption, adopt_graph
    from ..generation.pipeline import load  # here: it imports the whole runtime

    return adopt_graph(Adoption(**options), out, lambda folder: load(folder, "cpu", build=False))


def _names(pairs: Sequence[str]) -> dict[str, str]:
    """Our names with the graph's."""
    names: dict[str, str] = {}
    for pair in pairs:
        ours, equals, theirs = (part.strip() for part in pair.partition("="))
        if not (ours and equals and theirs):
            raise ConfigError(f"--map must be OURS=THEIRS, for instance sample=x, not {shown(pair)}")
        if ours in names or theirs in names.values():
            raise ConfigError(f"--map names {ours if ours in names else theirs} twice: leave one out")
        names[ours] = theirs
    return names


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,8}(x[1-9][0-9]{0,8})*", text):
        raise ConfigError(f"--sample-shape {shown(text)} is not whole numbers with x between them, such as 3x64x64")
    return tuple(map(int, text.split("x")))


def _text(facts: dict[str, Any]) -> str:
    shape = "x".join(map(str, facts["sample_shape"]))
    named = ", ".join(f"{name} {shape}" for name, shape in facts["conditioning"].items())
    return f"{facts['bundle']}: {facts['bytes'] / 1e6:.1f} MB, samples of {shape}, {facts['sampler']}" + (
        f"; conditioning: {named}" if named else ""
    )
