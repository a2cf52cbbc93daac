"""Downloads repositories of the Hugging Face hub to its cache: first the configs, later the wanted weights."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ddim_edge.errors import ConfigError

from ..errors import error_summary

_CONFIGS = ("*.json", "*.txt", "README.md")
_VARIANTS = ("*.fp16.*", "*.fp16-*", "*.bf16.*", "*.bf16-*", "*.non_ema.*", "*.non_ema-*")


def fetch_configs(repository: str) -> Path:
    """Download a repository's JSON files, tokenizers and model card. Returns the cache folder. Raises ConfigError."""
    return _snapshot(repository, _CONFIGS)


def fetch_weights(repository: str, root: Path, folders: Iterable[Path], *, allow_pickle: bool) -> None:
    """Download the weights of some folders below ``root``, a repository's cache folder.

    Variants such as fp16 are downloaded only if there are no other weights. ConfigError where the hub cannot be reached
    and the cache has nothing of the repository.
    """
    attempts = [("safetensors", _VARIANTS), ("safetensors", ())]
    attempts += [("bin", _VARIANTS)] if allow_pickle else []
    for folder in dict.fromkeys(folders):
        for kind, ignored in attempts:
            _snapshot(repository, [(folder.relative_to(root) / f"*.{kind}").as_posix()], ignored)
            if any(folder.glob(f"*.{kind}")):
                break


def _snapshot(repository: str, wanted: Sequence[str], ignored: Sequence[str] = ()) -> Path:
    import huggingface_hub

    try:
        return Path(
            huggingface_hub.snapshot_download(repository, allow_patterns=list(wanted), ignore_patterns=list(ignored))
        )
    except (OSError, ValueError) as error:
        # The cached files can be enough: another program may have downloaded a part of the repository.
        partial = getattr(error, "snapshot_path", None)
        if partial is not None:
            return Path(partial)
        raise ConfigError(f"cannot fetch {repository}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    from huggingface_hub.errors import LocalEntryNotFoundError

    if isinstance(error, LocalEntryNotFoundError):
        return "the Hugging Face hub cannot be reached, and its cache has nothing of that name"
    return error_summary(error).rstrip(". ")
