"""``ddim-edge export``: exports a trained UNet, or a diffusers pipeline, to a bundle."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..errors import ConfigError
from ..runtime.sessions.first_build import is_large
from .addition_options import addition_options
from .environment import RepeatableOption
from .export_build import build_exported, target_is_this_cpu
from .export_policy import is_policy
from .export_run import run_export
from .export_triton import export_triton
from .help_sections import SectionedCommand
from .key_values import key_values
from .lora_options import lora_slot_options
from .step_cache_branch import read_branch

_WITH_OPTIMUM = ("with", "scheduler", "defaults", "quiet", "as_json")
"""The options that apply where optimum makes the graphs."""
_OF_POLICY = ("quiet", "as_json")
"""The options that apply to a robot policy."""


@click.command("export", cls=SectionedCommand)
@click.argument("source")
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option(
    "--config",
    metavar="FOLDER",
    help="For a checkpoint: the folder, or OWNER/NAME, of a pipeline with its configs. Weights are not needed there.",
)
@click.option(
    "--scheduler",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="scheduler_config.json, with diffusers' keys, to use instead of SOURCE's. A UNet2DModel alone has none.",
)
@click.option(
    "--assume-ddim",
    is_flag=True,
    help="For a UNet2DModel alone: it was trained to predict the noise of 1000 steps with linear betas.",
)
@click.option(
    "--default",
    "defaults",
    cls=RepeatableOption,
    metavar="KEY=VALUE",
    envvar="DDIM_EDGE_EXPORT_DEFAULT",
    help="Option that the model's users get unless they give another: num_steps, guidance_scale, negative_prompt, "
    "height or width; repeatable.",
)
@click.option(
    "--components",
    metavar="NAME,…",
    help="The components to export, such as unet,vae_decoder.  [default: all]",
)
@click.option(
    "--dtype",
    type=click.Choice(["fp32", "fp16", "bf16"]),
    default="fp32",
    show_default=True,
    help="Data type of weights and values. fp16 and bf16 are for GPUs.",
)
@click.option(
    "--keep-fp32",
    metavar="NAME,…",
    help="Components to export in fp32 in spite of --dtype, such as vae_decoder.",
)
@click.option(
    "--fp32-too",
    metavar="NAME,…",
    help="With --dtype fp16: components, or all, to export in fp32 too. They run in fp32 if fp16 fails.",
)
@click.option(
    "--quantize",
    type=click.Choice(["int8-weights"]),
    help="Store the weights of matrix products in 8 bits, for large networks. --target says for which device; on a CPU "
    "the products are computed in 8 bits, too.",
)
@click.option(
    "--static",
    metavar="BxHxW",
    help="Fix all graphs to one batch size of the UNet and one image size in pixels, such as 2x512x512.",
)
@click.option(
    "--opset",
    type=click.IntRange(18, 23),
    default=23,
    show_default=True,
    help="Version of the ONNX operators. Below 23 there is no Attention operator; several others replace it.",
)
@click.option(
    "--target",
    type=click.Choice(["cpu", "cuda", "tensorrt"]),
    default="cpu",
    show_default=True,
    help="Device to choose operators for. cpu and cuda give the same graph, except with --quantize; tensorrt keeps "
    "GroupNormalization nodes. A bundle of more than 500 MB whose target is named as cpu is also built for this "
    "machine's CPU.",
)
@click.option(
    "--with",
    type=click.Choice(["optimum"]),
    help="Let optimum-onnx make the graphs of a Stable Diffusion folder (docs/export.md). Of the other options only "
    "--scheduler and --default apply.",
)
@click.option("--no-build", is_flag=True, help="Do not build the bundle for this machine's CPU.")
@click.option(
    "--fuse-step",
    is_flag=True,
    help="Also write a UNet graph that includes guidance and the DDIM step. Both graphs share their weights.",
)
@click.option(
    "--step-cache",
    is_flag=False,
    flag_value="0",
    callback=read_branch,
    metavar="[BRANCH]",
    help="Also write the graph of the UNet's outer blocks, for `run --cache deep`. BRANCH 0, the default, keeps the "
    "last resnet, 1 the last two. Give it after OUT.",
)
@lora_slot_options
@click.option(
    "--vae",
    type=click.Path(path_type=Path),
    help="Folder with an autoencoder, such as TAESD, to use instead of SOURCE's.",
)
@click.option(
    "--lora",
    "loras",
    cls=RepeatableOption,
    envvar="DDIM_EDGE_EXPORT_LORA",
    metavar="FILE[:SCALE]",
    help="LoRA in safetensors to add to the weights. Can be given several times.",
)
@addition_options
@click.option(
    "--allow-pickle",
    is_flag=True,
    help="Also read pickled weights, by PyTorch's reader for weights only. It runs no code from the file, but it is "
    "larger than that of safetensors, and a file can still make it take much memory: for sources that you know.",
)
@click.option(
    "--ignore-extra-weights",
    is_flag=True,
    help="Leave out weights that SOURCE's networks do not have, such as an IP-Adapter's. export.json names them.",
)
@click.option(
    "--triton",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write SOURCE, a bundle, as a model repository of Triton Inference Server to the new folder DIR. Leave out "
    "OUT and all options of an export; PyTorch is not needed.",
)
@click.option(
    "--triton-graphs",
    is_flag=True,
    help="With --triton: also a model for each ONNX graph, with dynamic batching, for programs that make the steps "
    "themselves.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option(
    "--json", "as_json", is_flag=True, envvar="DDIM_EDGE_EXPORT_JSON", help="Print one machine-readable line."
)
def export_command(
    source: str,
    out: Path | None,
    components: str | None,
    keep_fp32: str | None,
    fp32_too: str | None,
    no_build: bool,
    triton: Path | None,
    triton_graphs: bool,
    defaults: tuple[str, ...],
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Export SOURCE to the folder OUT, which runs without PyTorch.

    SOURCE is a folder that diffusers saved, a single-file checkpoint in safetensors, or the OWNER/NAME of a repository
    on the Hugging Face hub, which is downloaded to the hub's cache. It has a UNet2DModel, or a pipeline of a UNet and
    optionally an autoencoder, CLIP text encoders, ControlNets and a safety checker. Or SOURCE is a folder of a LeRobot
    diffusion policy, which ddim_edge.load_policy then opens; of the options only --quiet and --json apply.

    A checkpoint has weights only. Its configs come from --config, or from the repository that diffusers chooses for it.

    Each graph is compared with PyTorch in ONNX Runtime before it appears in OUT; the result is in its export.json. The
    same command continues an interrupted export.

    \b
    Examples:
      ddim-edge export my-unet/ bundle/ --scheduler scheduler_config.json
      ddim-edge export stable-diffusion/ bundle/ --lora style.safetensors:0.8
      ddim-edge export stable-diffusion/ bundle/ --ip-adapter models/ip-adapter_sd15.safetensors
      ddim-edge export stable-diffusion/ bundle/ --dtype fp16 --fp32-too vae_decoder
      ddim-edge export dreams.safetensors bundle/ --config stable-diffusion/
      ddim-edge export stable-diffusion-v1-5/stable-diffusion-v1-5 bundle/
      ddim-edge export sd15/ bundle/ --vae taesd/ --components unet,text_encoder,vae_decoder
      ddim-edge export sd15/ bundle/ --with optimum
      ddim-edge export lerobot-diffusion/ policy/
      ddim-edge export bundle/ --triton repository/
    """
    if triton is not None:
        return export_triton(source, triton, graphs=triton_graphs, quiet=quiet, as_json=as_json)
    if triton_graphs:
        raise ConfigError("--triton-graphs needs --triton DIR, the folder to write to")
    if out is None:
        raise click.MissingParameter(param_hint="'OUT'", param_type="argument")
    lists = {"components": components, "keep_fp32": keep_fp32, "fp32_too": fp32_too}
    options["defaults"] = key_values("--default", defaults, "guidance_scale=3")
    with_optimum = options.pop("with") is not None
    exporter, chosen = "export_folder", {**{name: _names(text) for name, text in lists.items()}, **options}
    if with_optimum:
        _check_options(_WITH_OPTIMUM, "--with optimum: leave out one of them")
        exporter, chosen = "export_with_optimum", {name: options[name] for name in ("scheduler", "defaults")}
    elif is_policy(source):
        _check_options(_OF_POLICY, "a LeRobot policy, which SOURCE is: leave it out")
        exporter, chosen = "export_policy", {}
    facts = run_export(exporter, source, out, quiet=quiet, as_json=as_json, **chosen)
    built = None
    if not no_build and target_is_this_cpu() and is_large(out):
        built = build_exported(out, quiet=quiet, as_json=as_json)
    if quiet:
        return None
    if as_json:
        click.echo(json.dumps({**facts, "built": json.loads(built) if built else None}))
    elif built:
        click.echo(built)
    return None


def _check_options(meant: Collection[str], for_what: str) -> None:
    """Raise ConfigError for an option that was given and is not one of those that are ``meant``."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = str(parameter.name)
        given = context.get_parameter_source(name) != ParameterSource.DEFAULT
        if isinstance(parameter, click.Option) and given and name not in meant:
            raise ConfigError(f"{parameter.opts[0]} does not apply to {for_what}")


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]
