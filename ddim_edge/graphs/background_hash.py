"""The hash of a model's files, computed while its networks are opened."""

import threading
from collections.abc import Sequence
from pathlib import Path

from .file_hashes import is_known, known_sha256_of_all
from .same_files import SameFiles


class BackgroundHash:
    """The hash of several files, computed in another thread if any of them has to be read for it.

    ``files`` notices that one was replaced after the model was opened: then ``result`` raises BundleError.
    """

    def __init__(self, paths: Sequence[Path], files: SameFiles) -> None:
        self._paths, self._files = paths, files
        self._outcome: str | Exception = ""
        files.use(paths)
        self._thread: threading.Thread | None = None
        if all(map(is_known, paths)):
            self._compute()
        else:
            # A daemon: a run that fails early does not wait for it.
            self._thread = threading.Thread(target=self._compute, name="ddim-edge-hash", daemon=True)
            self._thread.start()

    def result(self) -> str:
        """Wait for the hash, and return it as hexadecimal. Raises what failed in the thread."""
        if self._thread is not None:
            self._thread.join()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def _compute(self) -> None:
        try:
            digest = known_sha256_of_all(self._paths)
            self._files.use(self._paths)
            self._outcome = digest
        except Exception as error:  # of whatever kind: ``result`` raises it
            self._outcome = error
