"""``ddim-edge export``: a trained UNet, or a whole diffusers pipeline, becomes a bundle."""

from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError

_EXTRA = ("torch", "diffusers", "transformers", "onnx", "onnxscript", "safetensors", "onnxruntime")


@click.command("export")
@click.argument("source")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--config",
    metavar="FOLDER",
    help="For a checkpoint: where the configs are, a pipeline's folder or OWNER/NAME; its weights are not needed.",
)
@click.option(
    "--components",
    metavar="NAME,…",
    help="The graphs to make, such as unet,vae_decoder; all of them by default.",
)
@click.option(
    "--dtype",
    type=click.Choice(["fp32", "fp16", "bf16"]),
    default="fp32",
    show_default=True,
    help="What weights and values are stored and computed in. fp16 and bf16 are for GPUs.",
)
@click.option(
    "--keep-fp32",
    metavar="NAME,…",
    help="Components that stay in fp32 whatever --dtype says, such as vae_decoder.",
)
@click.option(
    "--fp32-too",
    metavar="NAME,…",
    help="With --dtype fp16, components to have in fp32 too, or all: they run in it once they fail in fp16.",
)
@click.option(
    "--quantize",
    type=click.Choice(["int8-weights"]),
    help="Store the weights of matrix products in 8 bits, and compute in fp32.",
)
@click.option(
    "--static",
    metavar="BxHxW",
    help="Fix all graphs to one batch of the UNet and one image size in pixels, such as 2x512x512.",
)
@click.option(
    "--opset",
    type=click.IntRange(18, 23),
    default=23,
    show_default=True,
    help="The version of ONNX's operators. Below 23, attention is written in other operators.",
)
@click.option(
    "--target",
    type=click.Choice(["cpu", "cuda", "tensorrt"]),
    default="cpu",
    show_default=True,
    help="What the operators are chosen for. Those of cpu and of cuda are the same; tensorrt keeps group norms whole.",
)
@click.option(
    "--fuse-step",
    is_flag=True,
    help="Also write the UNet with guidance and the DDIM step in its graph; both share their weights.",
)
@click.option(
    "--vae",
    type=click.Path(path_type=Path),
    help="A folder with another autoencoder, such as TAESD, to take in the place of SOURCE's.",
)
@click.option(
    "--lora",
    "loras",
    multiple=True,
    envvar="DDIM_EDGE_EXPORT_LORA",
    metavar="FILE[:SCALE]",
    help="A LoRA in safetensors to add to the weights. May be given again.",
)
@click.option(
    "--allow-pickle",
    is_flag=True,
    help="Read weights in formats that can run code, too.",
)
def export_command(
    source: str,
    out: Path,
    components: str | None,
    keep_fp32: str | None,
    fp32_too: str | None,
    **options: Any,
) -> None:
    """Export SOURCE to the new folder OUT, which runs without PyTorch.

    SOURCE is a folder that diffusers saved, a single-file checkpoint in safetensors, or the OWNER/NAME of a repository
    on the Hugging Face hub, which is fetched into the hub's cache. It holds a UNet2DModel, or a pipeline of a UNet with
    an autoencoder, CLIP text encoders, ControlNets and a safety checker, as far as it has them.

    A checkpoint has weights only. Its configs are those of --config, or of the repository that diffusers takes for it.

    ONNX Runtime is run beside PyTorch before a graph appears in OUT; what was
    measured is in the export.json of each. An export that was interrupted goes on when it is called again.

    \b
    Examples:
      ddim-edge export my-unet/ bundle/
      ddim-edge export stable-diffusion/ bundle/ --lora style.safetensors:0.8
      ddim-edge export stable-diffusion/ bundle/ --dtype fp16 --fp32-too vae_decoder
      ddim-edge export dreams.safetensors bundle/ --config stable-diffusion/
      ddim-edge export stable-diffusion-v1-5/stable-diffusion-v1-5 bundle/
      ddim-edge export stable-diffusion/ bundle/ --vae taesd/ --components unet,text_encoder,vae_decoder
    """
    lists = {"components": components, "keep_fp32": keep_fp32, "fp32_too": fp32_too}
    try:
        _export(source, out, **{option: _names(text) for option, text in lists.items()}, **options)
    except ModuleNotFoundError as error:
        raise ConfigError(_how_to_install(error)) from None


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _export(source: str, out: Path, **options: Any) -> None:
    from ddim_edge_export import export_folder, show_stages

    with show_stages() as on_stage:
        report = export_folder(source, out, on_stage=on_stage, **options)
    for name, part in report.components.items():
        remark = f"; {part.remark}" if part.remark else ""
        if part.step is not None:
            remark += f"; its fused step at most {part.step.error:.1e} from NumPy's"
        if part.fp32_fallback_deviation is not None:
            remark += f"; its fp32 form {part.fp32_fallback_deviation}"
        click.echo(
            f"{name}: {part.network} in {part.precision.name}, {part.size / 1e6:.1f} MB, {part.deviation}{remark}"
        )
    click.echo(f"{out}: {report.size / 1e6:.1f} MB")


def _how_to_install(error: ModuleNotFoundError) -> str:
    """One line for a package that is not installed; anything else is a fault of ours and stays as it is."""
    missing = (error.name or "").partition(".")[0]
    if missing not in _EXTRA:
        raise error
    return f"export needs {missing}, which is not installed: pip install 'ddim-edge[export]'"
