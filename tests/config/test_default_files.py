"""The default configuration of every scheduler class of diffusers: it is accepted, or refused with a reason."""

import inspect
import re
from pathlib import Path
from typing import Any

import diffusers
import pytest

import ddim_edge
from ddim_edge.config.refused_schedulers import REFUSED
from ddim_edge.diffusion.samplers.table import BY_CLASS

FOLDER = Path(diffusers.__file__).parent / "schedulers"
CLASSES = sorted(
    {
        name
        for file in FOLDER.rglob("scheduling_*.py")
        for name in re.findall(r"^class (\w+Scheduler)\(", file.read_text("utf-8"), re.MULTILINE)
    }
)


def defaults(name: str) -> dict[str, Any]:
    """The class's file with nothing changed."""
    parameters = inspect.signature(getattr(diffusers, name)).parameters.values()
    values = {one.name: one.default for one in parameters if one.default is not one.empty}
    return {"_class_name": name, **values}


def test_at_least_26_classes_are_accepted() -> None:
    assert len(CLASSES) > 50
    assert len(BY_CLASS.keys() & set(CLASSES)) >= 26


@pytest.mark.parametrize("name", CLASSES)
def test_the_default_file_is_accepted_or_refused_with_a_reason(name: str) -> None:
    if name in BY_CLASS:
        assert type(ddim_edge.sampler_config(defaults(name))) is BY_CLASS[name]
        return
    with pytest.raises(ddim_edge.ConfigError, match=f"^_class_name '{name}' is known, but not built here: ") as caught:
        ddim_edge.sampler_config({"_class_name": name})
    assert str(caught.value).endswith(f": {REFUSED[name]}.")
