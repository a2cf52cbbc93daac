"""Messages about compiled graphs: what is missing, and the command that builds it."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from ..providers.options import compile_time_options
from ..providers.precision import FLOAT32
from ..providers.table import provider_named
from .recipe import Shapes, component_of
from .store import Found


def missing_message(
    graph: Path,
    provider: str,
    found: Found,
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
    options: Mapping[str, str] | None = None,
    precision: str = FLOAT32,
) -> str:
    """The error message where nothing that was compiled fits: what there is, why it does not fit, the build command.

    ``batch``: rows of the graph. ``height``, ``width``: in pixels; None for the model's usual size. ``options`` and
    ``precision``: as for ``find``.
    """
    built = "; ".join(sorted({shapes_text(entry.recipe.shapes) for entry in found.fitting}))
    why = "; ".join(found.reasons) or (f"what is built is for {built}" if built else "nothing is built")
    command = build_command(graph, provider, batch, height, width, options, precision)
    return f"{component_of(graph)} has nothing built for {provider} that fits: {why}. Run `{command}`"


def build_command(
    graph: Path,
    provider: str,
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
    options: Mapping[str, str] | None = None,
    precision: str = FLOAT32,
) -> str:
    """The command that compiles the bundle of ``graph`` for calls of ``batch`` rows."""
    sizes = {"--batch": batch, "--height": height, "--width": width} if provider_named(provider).static_shapes else {}
    pairs = [(option, str(value)) for option, value in sizes.items() if value]
    pairs += [("--provider-option", f"{key}={value}") for key, value in compile_time_options(options or {}).items()]
    pairs += [("--precision", precision)] if precision != FLOAT32 else []
    given = [word for pair in pairs for word in pair]
    return shlex.join(["ddim-edge", "build", str(graph.parent.parent), "--provider", provider, *given])


def shapes_text(shapes: Shapes) -> str:
    """Shapes as text, such as "sample 2x4x64x64, timestep 2"."""
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items()) or "any shape"
