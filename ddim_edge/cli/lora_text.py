"""What ``inspect`` says of a bundle's LoRA slots and of the LoRAs in it."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..bundle.bundle import Bundle
from ..lora.adapter import adapter_names, open_adapter


def lora_facts(bundle: Bundle) -> dict[str, Any] | None:
    """The slots, and each LoRA; None for a model without slots. BundleError for a broken one."""
    if bundle.lora_slots is None:
        return None
    adapters = {name: open_adapter(bundle.folder, name) for name in adapter_names(bundle.folder)}
    loras = [
        {"name": name, "rank": adapter.rank, "bytes": adapter.nbytes, "source": adapter.source}
        for name, adapter in adapters.items()
    ]
    return {**bundle.lora_slots._asdict(), "loras": loras}


def lora_lines(facts: Mapping[str, Any] | None) -> Iterator[str]:
    """The same as text."""
    if facts is not None:
        yield f"{facts['slots']} LoRA slots of rank up to {facts['rank']}"
        for lora in facts["loras"]:
            yield f"LoRA {lora['name']}  rank {lora['rank']}, {lora['bytes'] / 1e6:.1f} MB, from {lora['source']}"
