"""A training loop for any module with a loss: AdamW, a trapezoid of learning rates, averaged weights, checkpoints.

The learning rate rises, stays, and falls to zero over the last quarter of the run. So an interrupted or lengthened run
continues from its checkpoint without a schedule that assumed another end.
"""

import copy
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ddim_edge.files import atomic_write

from .recipe import Recipe

Loss = Callable[[torch.nn.Module, int, torch.Generator], torch.Tensor]
"""The loss of the module at a step, whose noise is drawn from the generator."""


class Run:
    """The whole state of a training run: weights, averaged weights, optimizer, random generator, number of steps."""

    def __init__(self, module: torch.nn.Module, recipe: Recipe) -> None:
        self.module, self.recipe, self.step = module.train(), recipe, 0
        self.average = copy.deepcopy(module).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(module.parameters(), weight_decay=0.0, fused=True)
        self.random = torch.Generator().manual_seed(recipe.seed)

    def advance(self, loss: Loss) -> float:
        """Do one optimizer step and return the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate_at(self.step)
        value = loss(self.module, self.step, self.random)
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._update_average()
        self.step += 1
        return value.item()

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.ema_decay, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.average.parameters(), self.module.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    def save(self, path: Path) -> None:
        """Write the checkpoint. An interruption leaves the previous one."""
        parts = [part.state_dict() for part in (self.module, self.average, self.optimizer)]
        with atomic_write(path) as file:
            torch.save({"step": self.step, "random": self.random.get_state(), "parts": parts}, file)

    def restore(self, path: Path) -> None:
        """Read the state from a checkpoint."""
        device = next(self.module.parameters()).device
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        self.step = state["step"]
        self.random.set_state(state["random"].cpu())
        parts: tuple[Any, ...] = (self.module, self.average, self.optimizer)
        for part, values in zip(parts, state["parts"], strict=True):
            part.load_state_dict(values)


def train(module: torch.nn.Module, loss: Loss, recipe: Recipe, checkpoint: Path, save_every: int = 200) -> Any:
    """Train to the recipe's end, from ``checkpoint`` if it exists. Returns the module with averaged weights."""
    run = Run(module, recipe)
    if checkpoint.exists():
        run.restore(checkpoint)
    losses: list[float] = []
    while run.step < recipe.steps:
        losses.append(run.advance(loss))
        if run.step % save_every == 0 or run.step == recipe.steps:
            run.save(checkpoint)
            print(
                f"{checkpoint.stem}: step {run.step} of {recipe.steps}, loss {statistics.mean(losses):.4f}", flush=True
            )
            losses.clear()
    return run.average.eval()
