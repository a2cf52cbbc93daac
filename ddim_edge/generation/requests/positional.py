"""Wrong arguments: values without a name, where options are given by name, and names of other libraries."""

from collections.abc import Collection, Mapping, Sequence

from ...bundle.bundle import Bundle
from ...errors import ConfigError, shown
from .other_names import right_name

LOAD_OPTIONS = ("model", "provider", "precision", "low_memory", "build", "max_memory")
_OTHER_LOAD_NAMES: Mapping[str, str] = {
    "device": "provider",
    "device_map": "provider",
    "providers": "provider",
    "dtype": "precision",
    "torch_dtype": "precision",
    "path": "model",
    "model_id": "model",
    "pretrained_model_name_or_path": "model",
}
"""What other libraries call the options of ``load``."""


class PositionalError(ConfigError, TypeError):
    """A value that is given without the name of its option."""


def refuse_positional(bundle: Bundle, values: Sequence[object]) -> None:
    """Raise PositionalError if there are values without a name."""
    if values:
        example = f"labels=[{bundle.labels[0]!r}]" if bundle.labels else "prompt='a fox'"
        raise PositionalError(
            f"options are given by name, and {shown(values[0])} has none: write for instance {example}, num_steps=20"
        )


def refuse_unknown_of_load(names: Collection[str]) -> None:
    """Raise ConfigError for the first of ``names``, which are no options of ``load``, with its name here."""
    for name in names:
        here = right_name(name, LOAD_OPTIONS, _OTHER_LOAD_NAMES)
        hint = f"it is called {here} here" if name in _OTHER_LOAD_NAMES else f"did you mean {here}?" if here else ""
        options = f"the options are {', '.join(LOAD_OPTIONS)}"
        raise ConfigError(f"load has no option {shown(name)}: {hint or options}")
