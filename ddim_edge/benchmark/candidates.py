"""The devices that ``ddim-edge build --provider auto`` measures: providers, precisions and numbers of threads."""

from collections.abc import Iterator

from ..errors import ProviderError
from ..runtime.compiled.measured import ALLOWED, Measured
from ..runtime.hardware import cpu
from ..runtime.providers.device import Device
from ..runtime.providers.precision import FLOAT32
from ..runtime.providers.table import CPU, PROVIDERS, Provider
from .openvino_devices import other_devices


def candidates(precision: str) -> list[Measured]:
    """What is installed here, not measured yet, the preferred ones first.

    The types of the graph before lower precisions, the CPU before other providers, the default number of threads before
    others: of two that are as fast, the first is taken.
    """
    installed = [row for row in (CPU, *PROVIDERS[:-1]) if _is_installed(row)]
    places = [(row, which, threads) for row in installed for which, threads in _places(row)]
    return [
        Measured(row.name, which, allowed, threads)
        for allowed in ALLOWED[precision]
        for row, which, threads in places
        if allowed in (FLOAT32, *row.precisions)
    ]


def _is_installed(row: Provider) -> bool:
    try:
        return bool(list(Device(row.name).candidates()))
    except ProviderError:
        return False


def _places(row: Provider) -> Iterator[tuple[str | None, int | None]]:
    """The devices of a provider, None for the first, with numbers of threads where it computes on the CPU."""
    yield from ((None, threads) for threads in (_threads(cpu.describe()) if row.on_host else [None]))
    if row.uses_own_runtime(None):
        yield from ((name, None) for name in other_devices())


def _threads(processors: cpu.Cpu) -> Iterator[int | None]:
    """The default, which is a thread for each physical core; half of them; and one for each logical processor.

    Only the default where the environment asks for a number, or a quota says how much time there is.
    """
    yield None
    cores = processors.chosen
    if processors.asked is not None or processors.quota is not None or cores is None:
        return
    if cores > 1:
        yield cores // 2
    if not processors.masked and processors.processors is not None and processors.processors > cores:
        yield processors.processors
