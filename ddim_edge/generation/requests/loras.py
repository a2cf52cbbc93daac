"""LoRAs of a request: adapters of the bundle by their names, each with a scale."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...bundle.bundle import Bundle
from ...bundle.lora_slots import WITH_LORA_SLOTS, declared_slots
from ...config.schema import list_of, object_with, real, text
from ...errors import ConfigError, shown
from ...lora.adapter import UsedLora, open_adapter, used_lora
from ...lora.scale import LARGEST_SCALE, name_and_scale

LORA_LIST = list_of(
    object_with({"name": text(64), "scale": real(-LARGEST_SCALE, LARGEST_SCALE), "sha256": text(64)}), 64
)
"""The schema of a recipe's LoRAs."""


def used_loras(bundle: Bundle, given: object) -> tuple[UsedLora, ...]:
    """The adapters that a caller named: {name: scale}, or names such as "style" and "style:0.8"; None for none.

    ConfigError for a model without slots, an unknown name, and a wrong scale.
    """
    if given is None:
        return ()
    scales = _scales(given)
    _check_slots(bundle, len(scales))
    return tuple(used_lora(bundle.folder, name, scale) for name, scale in scales)


def check_loras(bundle: Bundle, loras: Sequence[UsedLora]) -> None:
    """Raise ConfigError or BundleError for adapters that are not those of the model."""
    if not loras:
        return
    slots, declared = _check_slots(bundle, len(loras)), declared_slots(bundle.folder)
    for lora in loras:
        adapter = open_adapter(bundle.folder, lora.name)
        if used_lora(bundle.folder, lora.name, lora.scale) != lora:
            raise ConfigError(
                f"the LoRA {lora.name} of {bundle.name} is another one than it was: its hash was {lora.sha256[:12]}…"
            )
        if adapter.rank > slots:
            raise ConfigError(f"the LoRA {lora.name} has rank {adapter.rank}, and {bundle.name} takes up to {slots}")
        for component in WITH_LORA_SLOTS:
            adapter.check_fits(component, declared.get(component, {}))


def loras_from_json(values: Any) -> tuple[UsedLora, ...]:
    """The LoRAs of a recipe, whose types ``LORA_LIST`` has checked. Raises KeyError where something is missing."""
    return tuple(UsedLora(entry["name"], float(entry["scale"]), entry["sha256"]) for entry in values)


def active(loras: Sequence[UsedLora]) -> tuple[UsedLora, ...]:
    """Those that change something."""
    return tuple(lora for lora in loras if lora.scale)


def _scales(given: object) -> list[tuple[str, float]]:
    if isinstance(given, Mapping):
        scales = list(given.items())
    elif isinstance(given, Sequence) and not isinstance(given, str) and all(isinstance(name, str) for name in given):
        scales = [name_and_scale(name) for name in given]
    else:
        raise ConfigError(f"loras must be {{name: scale}}, or a list of names such as 'style:0.8', not {shown(given)}")
    names = [name for name, _ in scales]
    for name, scale in scales:
        if not isinstance(name, str):
            raise ConfigError(f"a LoRA's name must be text, not {shown(name)}")
        real(-LARGEST_SCALE, LARGEST_SCALE)(f"the scale of the LoRA {shown(name)}", scale)
        if names.count(name) > 1:
            raise ConfigError(f"the LoRA {shown(name)} is there twice: give it once, with the sum of its scales")
    return [(name, float(scale)) for name, scale in scales]


def _check_slots(bundle: Bundle, count: int) -> int:
    """Raise ConfigError for more adapters than the model has slots. Returns the largest rank of one."""
    slots = bundle.lora_slots
    if slots is None:
        raise ConfigError(
            f"{bundle.name} has no LoRA slots: export it with --lora-slots, or put the LoRA into its weights by "
            f"`ddim-edge lora FILE {bundle.name} --fuse OUT`"
        )
    if count > slots.slots:
        raise ConfigError(f"{bundle.name} has {slots.slots} LoRA slots, and {count} LoRAs are given: leave some out")
    return slots.rank
