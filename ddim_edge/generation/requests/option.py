"""The declaration of a generation option: its name, its help, and where it is available."""

from typing import NamedTuple


class CommandLine(NamedTuple):
    """The command line option of ``ddim-edge run``.

    Attributes:
        flags: such as ``--seed``; a pair ``--on/--off`` for yes, no and unset.
        kind: type of the value; bool for a flag without a value.
        metavar: placeholder of the value in the help text.
        repeatable: whether it may be given several times.
        choices: the valid values.
        help, default: used instead of the option's own.
    """

    flags: tuple[str, ...]
    kind: type = str
    metavar: str | None = None
    repeatable: bool = False
    choices: tuple[str, ...] = ()
    help: str | None = None
    default: str | None = None


class Option(NamedTuple):
    """One generation option.

    Attributes:
        name: the keyword argument.
        help: what it does, in one or two sentences.
        default: the value if it is not given, in words.
        cli: the command line option; None if there is none.
        http: the field of the HTTP API; None if there is none.
    """

    name: str
    help: str
    default: str
    cli: CommandLine | None = None
    http: str | None = None
