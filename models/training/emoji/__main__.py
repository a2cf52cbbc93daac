"""``python -m models.training.emoji OUT``: train the text-to-image model of emoji and export it.

An interrupted run goes on from its last checkpoints; a finished one that is given more steps, too.
"""

from pathlib import Path
from typing import Any

import click
import torch

from ddim_edge.errors import DdimEdgeError
from ddim_edge_export import export_folder, show_stages

from ..loop import train
from ..recipe import Recipe
from . import autoencoder, denoiser
from .autoencoder import autoencoder_loss, make_autoencoder, principal_latents
from .data import DEFAULT_FONT, Emoji, load
from .denoiser import WIDTHS, TextToLatents, denoiser_loss, tokens_of
from .saving import save_pipeline
from .tokenizer import train_tokenizer


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--font", type=click.Path(path_type=Path), default=DEFAULT_FONT, show_default=True)
def main(out: Path, font: Path) -> None:
    """Train on the emoji of FONT; OUT gets checkpoints, the diffusers folder diffusers/ and the bundle bundle/."""
    train_pipeline(load(font), out, autoencoder.RECIPE, denoiser.RECIPE)
    with show_stages() as on_stage:
        export_folder(out / "diffusers", out / "bundle", on_stage=on_stage)
    click.echo(f"{out / 'bundle'}")


def train_pipeline(
    emoji: Emoji, out: Path, drawing: Recipe, denoising: Recipe, widths: tuple[int, ...] = WIDTHS
) -> None:
    """Train the autoencoder and the denoiser by their recipes, and save all as ``out``/diffusers."""
    out.mkdir(parents=True, exist_ok=True)
    images = torch.from_numpy(emoji.images).permute(0, 3, 1, 2).float() / 127.5 - 1
    latents = principal_latents(images)
    tokenizer = train_tokenizer(emoji.names, out / "tokenizer")
    tokens, nothing = tokens_of(tokenizer, emoji.names), tokens_of(tokenizer, [""])[0]

    torch.manual_seed(drawing.seed)
    loss = autoencoder_loss(images, latents, drawing.batch_size)
    vae: Any = train(make_autoencoder(), loss, drawing, out / "autoencoder.pt")

    torch.manual_seed(denoising.seed)
    loss = denoiser_loss(latents, tokens, nothing, denoising)
    trained: Any = train(TextToLatents(tokenizer, widths), loss, denoising, out / "denoiser.pt")
    save_pipeline(out / "diffusers", trained, vae, tokenizer)


if __name__ == "__main__":
    try:
        main()
    except DdimEdgeError as error:
        raise SystemExit(f"emoji: {error}") from None
