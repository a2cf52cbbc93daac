"""How close each family of models comes to its reference: checked against the record that docs/models.md is made of.

With ``DDIM_EDGE_RECORD=yes`` in the environment, tests write what they find where it is worse than the record; then
``python -m docs_site.models`` makes the page anew. A new family needs its row in docs_site/models.json first.
"""

import math
import os

from filelock import FileLock

from docs_site.models import RECORD, read_record, write_record

_MARGIN = 3
"""Another processor rounds in another order."""


def keep(family: str, difference: float) -> None:
    """Check that the steps of a family came as close as the record says. ``difference``: their largest one."""
    bound = 10.0 ** math.ceil(math.log10(max(_MARGIN * difference, 1e-9)))
    if os.environ.get("DDIM_EDGE_RECORD") == "yes":
        _write(family, bound)
    within = read_record()[family]["within"]
    assert difference <= within, f"{family} differs by {difference:.2g}, and docs/models.md says {within:.0e}"


def _write(family: str, bound: float) -> None:
    with FileLock(f"{RECORD}.lock"):
        families = read_record()
        families[family]["within"] = max(families[family]["within"], bound)
        write_record(families)
