"""LoRA groups: which rows share a network call.

Where the provider has its own memory, the rows of a call may have as many different adapters as the graph has slots:
each row has a weight for every adapter, and the matrices stay on the device. On the CPU a batch is no faster than its
rows one by one, and each row would compute every other row's adapter, so rows of other adapters are calls of their own.
``python -m bench.lora`` measures both.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from ..bundle.lora_slots import LoraSlots
from ..runtime.sessions.session import Session
from .row import Row

Answer = TypeVar("Answer")


def most_adapters(session: Session, slots: LoraSlots | None) -> int | None:
    """The most different adapters of a call; None where rows of different adapters do not share a call."""
    return None if session.device_buffers is None or slots is None else slots.slots


def groups_of(rows: Sequence[Row], most: int | None) -> list[list[int]]:
    """The indices of the rows of each call, in order; most calls are one group."""
    groups: list[tuple[set[str], list[int]]] = []
    for index, row in enumerate(rows):
        used = {lora.sha256 for lora in row.loras}
        for adapters, members in groups:
            if adapters == used if most is None else len(adapters | used) <= most:
                adapters |= used
                members.append(index)
                break
        else:
            groups.append((used, [index]))
    return [members for _, members in groups]


def in_groups(
    rows: Sequence[Row], groups: Iterable[Sequence[int]], run: Callable[[Sequence[Row]], Sequence[Answer]]
) -> list[Answer]:
    """Call ``run`` for each group of rows. Returns the answers in the order of ``rows``."""
    answers: dict[int, Answer] = {}
    for group in groups:
        answers |= zip(group, run([rows[index] for index in group]), strict=True)
    return [answers[index] for index in range(len(rows))]
