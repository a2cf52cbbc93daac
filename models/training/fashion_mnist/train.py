"""Train the class-conditional UNet of the bundled model: v-prediction, cosine schedule, EMA, label dropout.

The learning rate is warmed up, held, and brought to zero over the last quarter of the run, so that an interrupted or
lengthened run goes on from its checkpoint without a schedule that already assumed another end.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DModel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ddim_edge.diffusion.schedule import alpha_bars
from ddim_edge.files import write_whole

from ..recipe import DIFFUSION, Recipe
from .data import NULL_CLASS, load


def make_unet() -> UNet2DModel:
    """The network: three levels (28, 14, 7 pixels), self-attention in the middle, 1.4 M parameters."""
    return UNet2DModel(
        sample_size=28,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(24, 48, 96),
        down_block_types=("DownBlock2D",) * 3,
        up_block_types=("UpBlock2D",) * 3,
        norm_num_groups=8,
        attention_head_dim=32,
        num_class_embeds=NULL_CLASS + 1,
    )


class Run:
    """A training run's whole state: weights, their average, optimizer, random streams and the step reached."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.step = recipe, device, 0
        self.unet = make_unet().to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.unet).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.unet.parameters(), weight_decay=0.0, fused=True)
        self.random = torch.Generator().manual_seed(recipe.seed)
        table = torch.from_numpy(alpha_bars(DIFFUSION)).float().to(device)
        self.signals, self.noises = table.sqrt(), (1 - table).sqrt()

    def advance(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        """One optimizer step on images (B, 1, 28, 28) in [-1, 1] and labels (B,); returns the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate_at(self.step)
        loss = self._loss(images.to(self.device), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._update_average()
        self.step += 1
        return loss.item()

    def _loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        count = len(images)
        dropped = torch.rand(count, generator=self.random) < self.recipe.label_dropout
        labels = labels.masked_fill(dropped, NULL_CLASS).to(self.device)
        # Stratified timesteps: the same uniform distribution with less variance from batch to batch.
        uniform = (torch.arange(count) + torch.rand(count, generator=self.random)) / count
        timesteps = (uniform * len(self.signals)).long().to(self.device)
        noise = torch.randn(images.shape, generator=self.random).to(self.device)
        signal, sigma = (table[timesteps].view(-1, 1, 1, 1) for table in (self.signals, self.noises))
        sample = (signal * images + sigma * noise).to(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16):
            prediction = self.unet(sample, timesteps, class_labels=labels, return_dict=False)[0]
        return torch.nn.functional.mse_loss(prediction.float(), signal * noise - sigma * images)

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.ema_decay, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.average.parameters(), self.unet.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    def save(self, path: Path) -> None:
        """Write the checkpoint; an interruption leaves the old one."""
        parts = (self.unet, self.average, self.optimizer)
        state = {"step": self.step, "random": self.random.get_state(), "parts": [part.state_dict() for part in parts]}
        with write_whole(path) as temporary:
            torch.save(state, temporary)

    def restore(self, path: Path) -> None:
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        self.step = state["step"]
        self.random.set_state(state["random"].cpu())
        for part, values in zip((self.unet, self.average, self.optimizer), state["parts"], strict=True):
            part.load_state_dict(values)


def batches(recipe: Recipe, folder: Path, first_step: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Shuffled batches from ``first_step`` on; an epoch's order depends on the recipe's seed and its number alone."""
    pixels, labels = load("train", folder)
    images = torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1).unsqueeze(1)
    targets = torch.from_numpy(labels)
    per_epoch = len(images) // recipe.batch_size
    for step in range(first_step, recipe.steps):
        epoch, position = divmod(step, per_epoch)
        if position == 0 or step == first_step:
            order = torch.randperm(len(images), generator=torch.Generator().manual_seed(recipe.seed + epoch))
        rows = order[position * recipe.batch_size : (position + 1) * recipe.batch_size]
        yield images[rows], targets[rows]


def train(recipe: Recipe, data: Path, checkpoint: Path, device: torch.device, save_every: int = 500) -> UNet2DModel:
    """Train to the recipe's end, resuming from ``checkpoint`` where it exists; returns the averaged network."""
    run = Run(recipe, device)
    if checkpoint.exists():
        run.restore(checkpoint)
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.4f}"))
    with Progress(*columns, TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=recipe.steps, completed=run.step, loss=float("nan"))
        mean_loss = 0.0
        for images, labels in batches(recipe, data, run.step):
            loss = run.advance(images, labels)
            mean_loss = loss if mean_loss == 0.0 else 0.99 * mean_loss + 0.01 * loss
            progress.update(task, completed=run.step, loss=mean_loss)
            if run.step % save_every == 0 or run.step == recipe.steps:
                run.save(checkpoint)
    return run.average.eval()
