"""``python -m models.training.emoji OUT``: trains the text-to-image model of emoji and exports it.

An interrupted run continues from its last checkpoints. So does a finished run that is given more steps.
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
from .denoiser import WIDTHS, TextToLatents, denoiser_loss, token_ids
from .saving import save_pipeline
from .tokenizer import train_tokenizer


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--font", type=click.Path(path_type=Path), default=DEFAULT_FONT, show_default=True, help="NotoColorEmoji.ttf."
)
def main(out: Path, font: Path) -> None:
    """Train on the emoji of FONT. Writes checkpoints, OUT/diffusers and the bundle OUT/bundle."""
    train_pipeline(load(font), out, autoencoder.RECIPE, denoiser.RECIPE)
    with show_stages() as on_stage:
        export_folder(out / "diffusers", out / "bundle", defaults={"guidance_scale": 3}, on_stage=on_stage)
    click.echo(f"{out / 'bundle'}")


def train_pipeline(
    emoji: Emoji, out: Path, autoencoder_recipe: Recipe, denoiser_recipe: Recipe, widths: tuple[int, ...] = WIDTHS
) -> None:
    """Train the autoencoder and the denoiser by their recipes, and save the pipeline to ``out``/diffusers."""
    out.mkdir(parents=True, exist_ok=True)
    images = torch.from_numpy(emoji.images).permute(0, 3, 1, 2).float() / 127.5 - 1
    latents = principal_latents(images)
    tokenizer = train_tokenizer(emoji.names, out / "tokenizer")
    tokens, empty = token_ids(tokenizer, emoji.names), token_ids(tokenizer, [""])[0]

    torch.manual_seed(autoencoder_recipe.seed)
    loss = autoencoder_loss(images, latents, autoencoder_recipe.batch_size)
    vae: Any = train(make_autoencoder(), loss, autoencoder_recipe, out / "autoencoder.pt")

    torch.manual_seed(denoiser_recipe.seed)
    loss = denoiser_loss(latents, tokens, empty, denoiser_recipe)
    trained: Any = train(TextToLatents(tokenizer, widths), loss, denoiser_recipe, out / "denoiser.pt")
    save_pipeline(out / "diffusers", trained, vae, tokenizer)


if __name__ == "__main__":
    try:
        main()
    except DdimEdgeError as error:
        raise SystemExit(f"emoji: {error}") from None
