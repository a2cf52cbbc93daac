"""Tiny families as folders of diffusers and as bundles. Each network is exported once in a run of all tests."""

import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest
from filelock import FileLock

from ddim_edge_export import BundleReport, export_folder
from ddim_edge_export.sources.diffusers_folder import Component, open_source

from .families import FAMILIES
from .tiny_bundles import write_json


class Exports:
    """Families and their networks, in one folder for all processes of pytest-xdist: tracing a network takes long."""

    def __init__(self, temporary: pytest.TempPathFactory) -> None:
        own = temporary.getbasetemp()
        self._shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"

    def source(self, family: str) -> Path:
        """The folder of a family's pipeline, as diffusers saves it. Leave it as it is."""
        return _once(self._shared / "sources" / family, FAMILIES[family])

    def export(
        self, source: Path, out: Path, components: Collection[str] = (), vae: Path | None = None
    ) -> BundleReport:
        """Call ``export_folder`` with ``out`` as an interrupted export leaves it: all its networks are there already.

        It refuses a network that was made from other files.
        """
        opened = open_source(source, components, vae).components
        controls = [component for component in opened if component.kind == "ControlNetModel"]
        for component in opened:
            self._provide(component, controls if component.name == "unet" else [], source, out, vae)
        return export_folder(source, out, components=components, vae=vae)

    def adapted(self, family: str) -> Path:
        """A family's bundle with the IP-Adapters that lie in its source. Leave it as it is."""
        source = self.source(family)
        files = sorted((source / "ip_adapters").glob("*.safetensors"))

        def export(bundle: Path) -> None:
            names = [name for name in open_source(source).graphs if name not in ("unet", "vae_encoder")]
            self.provide(source, bundle, names)
            export_folder(source, bundle, components=["unet", *names], ip_adapters=files)

        return _once(self._shared / "adapted" / family, export)

    def provide(self, source: Path, out: Path, components: Collection[str]) -> None:
        """Copy networks to ``out``, as an export that was interrupted after them leaves it."""
        for component in open_source(source, components).components:
            self._provide(component, [], source, out, None)

    def _provide(
        self, component: Component, controls: Sequence[Component], source: Path, out: Path, vae: Path | None
    ) -> None:
        """Copy the network to ``out``. A UNet that has ``controls`` can only be exported along with them."""

        def export_alone(bundle: Path) -> None:
            for control in controls:
                self._provide(control, [], source, bundle, vae)
            export_folder(source, bundle, components=[component.name, *(control.name for control in controls)], vae=vae)

        # What a unet's further channels are, the class of the pipeline says.
        kind = open_source(source).index["_class_name"] if component.name == "unet" else ""
        key = _hash(component, f"{kind}{bool(controls)}")
        bundle = _once(self._shared / "networks" / f"{component.name}-{key}", export_alone)
        shutil.copytree(bundle / component.name, out / component.name)
        write_json(out / "export.json", {"unfinished": ""})


def _hash(component: Component, circumstances: str) -> str:
    files = sorted(file for file in component.folder.iterdir() if file.is_file())
    name = component.folder.name.encode()  # export.json has it: an autoencoder's folder is vae or vqvae
    content = b"".join([circumstances.encode(), name, *(file.read_bytes() for file in files)])
    return hashlib.sha256(content).hexdigest()[:16]


def _once(folder: Path, make: Callable[[Path], object]) -> Path:
    """The folder, made by the first process that needs it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name(f"{folder.name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder
