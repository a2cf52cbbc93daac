"""The version, in one place: packaging reads it from here too."""

__version__ = "0.1.0"


def package_version(name: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    import importlib.metadata  # here, because importing it takes longer than the rest of this package

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
