"""The models that the server was started with, by name; none of them loaded."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...bundle.bundle import Bundle
from ...bundle.policy_config import PolicyConfig
from ...bundle.read import open_bundle
from ...errors import ConfigError, choose_from, shown
from ...images.encode import check_channels
from ..errors import NotFound

Models = Sequence[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str]]
"""Bundled names, folders, NAME=FOLDER; or a mapping from name to folder."""


class Catalogue:
    """The bundles of all models, by name, and what policies among them do. Immutable, so any thread may read it.

    Raises ConfigError for no models, two of one name, and a model that the server does not support; BundleError.
    """

    def __init__(self, models: Models) -> None:
        self.bundles = {name: replace(open_bundle(path), name=name) for name, path in _folders_by_name(models).items()}
        if not self.bundles:
            raise ConfigError("there is no model to serve: name at least one")
        self.policies = {
            name: PolicyConfig.read(bundle.folder) for name, bundle in self.bundles.items() if bundle.is_policy
        }
        for bundle in self.bundles.values():
            _ = bundle.free_inputs  # kept: requests are checked against them, also while the file is being replaced
            if bundle.output.is_image:
                check_channels(bundle.image_shape()[0])

    @property
    def image_models(self) -> list[str]:
        """The models for ``/v1``: they make images, and take no arrays by name."""
        return [name for name, each in self.bundles.items() if each.output.is_image and not each.free_inputs]

    @property
    def names(self) -> list[str]:
        return list(self.bundles)

    def find(self, name: str | None) -> Bundle:
        """The model ``name`` (None: the first one); NotFound, which suggests the nearest name, for an unknown one."""
        name = self.names[0] if name is None else name
        if name not in self.bundles:
            raise NotFound(choose_from("model", name, self.bundles), param="model", code="model_not_found")
        return self.bundles[name]


def _folders_by_name(models: Models) -> dict[str, str | os.PathLike[str]]:
    if isinstance(models, Mapping):
        return dict(models)
    folders: dict[str, str | os.PathLike[str]] = {}
    for model in models:
        name, equals, folder = os.fspath(model).partition("=")
        if not equals:
            name, folder = Path(model).resolve().name, os.fspath(model)
        if not name:
            raise ConfigError(
                f"{shown(os.fspath(model))} names a model without a name: write NAME=FOLDER, or FOLDER alone"
            )
        if name in folders:
            raise ConfigError(f"two models are called {name!r}: give one of them another name, NAME=FOLDER")
        folders[name] = folder
    return folders
