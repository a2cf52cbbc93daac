"""What ``apart`` starts: one task, whose result is printed as JSON."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from .driver import driver_facts
from .trial import try_provider

_TASKS: Mapping[str, Callable[..., dict[str, Any]]] = {"driver": driver_facts, "trial": try_provider}

if __name__ == "__main__":
    print(json.dumps(_TASKS[sys.argv[1]](*sys.argv[2:])))
