"""``export``'s options of LoRA slots."""

from collections.abc import Callable
from typing import Any

import click

from ..bundle.lora_slots import MAX_RANK, MAX_SLOTS


def lora_slot_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --lora-slots and --lora-rank."""
    slots = click.option(
        "--lora-slots",
        type=click.IntRange(1, MAX_SLOTS),
        metavar="N",
        help="Give the UNet and the text encoders slots for N LoRAs in a call, which are chosen for each request: "
        "`ddim-edge lora` adds them to OUT, `run --lora` uses them.",
    )
    rank = click.option(
        "--lora-rank",
        type=click.IntRange(1, MAX_RANK),
        metavar="RANK",
        help="The largest rank of a LoRA in a slot.  [default: 16]",
    )
    return slots(rank(command))
