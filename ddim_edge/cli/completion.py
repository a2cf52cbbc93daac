"""Completion in the shell: values of arguments and options, for ``_DDIM_EDGE_COMPLETE`` as click describes it."""

import copy
from collections.abc import Callable, Sequence

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from ..bundle.read import bundled_names, open_bundle
from ..diffusion.samplers import SAMPLERS
from ..errors import DdimEdgeError
from ..runtime.providers.precision import PRECISIONS
from ..runtime.providers.table import NAMES
from .model_first import is_model
from .run_requests import DEFAULT_MODEL


def with_completions(command: click.Command) -> click.Command:
    """A copy of a command whose parameters know their values. It is for completion only: no value is checked."""
    copied = copy.copy(command)
    copied.params = list(map(copy.copy, command.params))
    for parameter in copied.params:
        if parameter.name in _VALUES:
            parameter.type = _Completed(_VALUES[parameter.name])
    return copied


class _Completed(StringParamType):
    """A text with values that the shell can complete."""

    def __init__(self, values: Callable[[click.Context, str], list[CompletionItem]]) -> None:
        self._values = values

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The values that begin with ``incomplete``."""
        return self._values(ctx, incomplete)


def _models(ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    # The shell's own completion of folders comes first: in bash it drops what stands before it.
    return [CompletionItem(incomplete, type="dir"), *_beginning(incomplete, bundled_names())]


def _files(ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    return [CompletionItem(incomplete, type="file")]


def _models_and_files(ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    return [CompletionItem(incomplete, type="file"), *_beginning(incomplete, bundled_names())]


def _labels(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """The labels of the model on this line, after those that are given already."""
    try:
        labels = open_bundle(_model(ctx)).labels
    except (DdimEdgeError, OSError):
        return []
    given = incomplete[: incomplete.rfind(",") + 1]
    return _beginning(incomplete, [given + label for label in labels if not any(map(str.isspace, label))])


def _presets(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """The presets of the model on this line."""
    try:
        return _beginning(incomplete, list(open_bundle(_model(ctx)).presets))
    except (DdimEdgeError, OSError):
        return []


def _model(ctx: click.Context) -> str:
    """The model on this line. An option that lacks its value leaves arguments before it unread, in ``ctx.args``."""
    arguments = [entry.name for entry in ctx.command.params if isinstance(entry, click.Argument)]
    unread = ctx.args if arguments[:1] in (["model"], ["bundle"]) else []
    words = next((ctx.params.get(name) or ctx.args for name in ("pictures", "ends") if name in arguments), ())
    first = [word for word in words[:1] if is_model(word)]
    named = (ctx.params.get(name) for name in ("model", "bundle"))
    return next(filter(None, [*first, *named, *unread]), DEFAULT_MODEL)


def _of(names: Sequence[str]) -> Callable[[click.Context, str], list[CompletionItem]]:
    return lambda ctx, incomplete: _beginning(incomplete, names)  # noqa: ARG005


def _beginning(incomplete: str, names: Sequence[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


_VALUES = {
    "model": _models,
    "models": _models,
    "bundle": _models,
    "source": _files,
    "output": _files,
    "pictures": _models_and_files,
    "ends": _models_and_files,
    "labels": _labels,
    "preset": _presets,
    "sampler": _of(list(SAMPLERS)),
    "provider": _of(NAMES),
    "precision": _of(PRECISIONS),
}
"""The parameters, by their names in all commands."""
