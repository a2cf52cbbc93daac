"""The device that graphs run on: a provider, one of its devices, and the provider's options."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from ...errors import ProviderError
from .onnxruntime_module import installed_packages, runtime
from .options import check_options
from .precision import FLOAT32, check_precision, precision_named
from .table import AUTO, PROVIDERS, Provider, provider_named


@dataclass(frozen=True)
class Device:
    """What graphs are to run on.

    Attributes:
        provider: one of ``NAMES``.
        which: one of the provider's devices: a number, or for OpenVINO a name such as GPU; None for the first.
        options: the provider's own options, by ONNX Runtime's names.
        allow_fallback: whether a relevant share of the work may go to the CPU where the provider cannot do it.
        precision: what the provider may compute float32 graphs in: float32, so that a seed gives the same image
            everywhere, bfloat16, float16, or auto, where the provider chooses.
        threads: of a graph, where it computes on the CPU; None for the number that ``hardware.cpu`` chooses.
        build: whether a bundle of more than 500 MB is built for the CPU when it is first opened there.

    Raises ProviderError for an unknown provider or option, and for a device or precision that the provider cannot have,
    ConfigError for an unknown precision.
    """

    provider: str = "auto"
    which: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    allow_fallback: bool = False
    precision: str = FLOAT32
    threads: int | None = None
    build: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", precision_named(self.precision))
        if self.provider == AUTO:
            for what, given in (("device", self.which), ("option", next(iter(self.options), None))):
                if given is not None:
                    raise ProviderError(f"{what} {given!r} belongs to a provider: name it, as in --provider cuda")
            return
        check_precision(self._row, self.precision)
        own = bool(self.options) and self._row.uses_own_runtime(self.which)
        check_options(self.provider, self.options, plugin=self._row.as_plugin is not None, own_runtime=own)
        if self.which is not None and self._row.device_option is None and self._row.plugin is None:
            raise ProviderError(f"provider {self.provider!r} has no devices to choose from: leave :{self.which} out")
        if self.which is not None and self._row.device_option == "device_id" and not self.which.isdecimal():
            raise ProviderError(f"{self.provider}:{self.which}: the device must be a number, for instance 0")

    @classmethod
    def parse(
        cls,
        text: str,
        options: Mapping[str, str] | None = None,
        *,
        allow_fallback: bool = False,
        precision: str = FLOAT32,
        build: bool = True,
    ) -> Self:
        """Read ``PROVIDER[:DEVICE]``, for instance ``cuda:1``."""
        provider, colon, which = text.partition(":")
        return cls(provider, which if colon else None, options or {}, allow_fallback, precision, build=build)

    @property
    def _row(self) -> Provider:
        return provider_named(self.provider)

    @property
    def computes_in(self) -> str:
        """The precision that images depend on: float32 where the provider can be told no other."""
        return FLOAT32 if self.provider != AUTO and not self._row.precisions else self.precision

    def without_build(self) -> Self:
        """The device for a graph that nothing was built for: CUDA in place of TensorRT."""
        other = None if self.provider == AUTO else self._row.runs_unbuilt
        return self if other is None else replace(self, provider=other, options={}, precision=FLOAT32)

    def candidates(self) -> Iterator[Provider]:
        """The providers to try, best first: one for a name, several for ``auto``.

        Raises ProviderError for a named provider that the installed package does not have.
        """
        available = runtime().get_available_providers()
        if self.provider == AUTO:
            check_precision(None, self.precision)
            yield from (row for row in PROVIDERS if row.automatic and row.ort_name in available)
            return
        if self._row.ort_name not in available and self._row.as_plugin is None and not self._row.has_own_runtime:
            raise ProviderError(_not_in_package(self._row, available))
        yield self._row


def _not_in_package(provider: Provider, available: list[str]) -> str:
    packages = " and ".join(f"{package} {version}" for package, version in installed_packages().items())
    names = ", ".join(row.name for row in PROVIDERS if row.ort_name in available)
    return (
        f"provider {provider.name!r} is not in the installed {packages or 'onnxruntime'} (it has {names}). "
        f"Remedy: {provider.remedy}, or --provider auto"
    )
