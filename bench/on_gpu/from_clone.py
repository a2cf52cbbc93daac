"""Makes the clone's packages importable where they are not installed, in this process and in its child processes."""

import importlib.util
import os
import sys

from ..results import CACHE, ROOT

_FOLDERS = {"ddim_edge": "ddim_edge", "ddim_edge_export": "export", "ddim_edge_models": "models"}


def make_importable() -> None:
    """Put a folder of links to them on the path, unless they can be imported already."""
    place = CACHE / "packages"
    missing = {name: ROOT / folder for name, folder in _FOLDERS.items() if importlib.util.find_spec(name) is None}
    if missing:
        place.mkdir(parents=True, exist_ok=True)
    for name, folder in missing.items():
        link = place / name
        if not link.exists():
            link.symlink_to(folder, target_is_directory=True)
    paths = [str(ROOT), *([str(place)] if missing else [])]
    sys.path[:0] = [path for path in paths if path not in sys.path]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [*paths, os.environ.get("PYTHONPATH", "")]))
