"""Names that diffusers has and this project has not: the answer never is another name."""

import re
from pathlib import Path

import diffusers
import pytest

import ddim_edge
from ddim_edge.config.diffusers_names import SCHEDULERS
from ddim_edge.diffusion.samplers import SAMPLERS, with_sampler

BUILT = {config.scheduler_class for config in SAMPLERS.values()}


def test_every_scheduler_class_of_diffusers_is_known() -> None:
    files = (Path(diffusers.__file__).parent / "schedulers").glob("scheduling_*.py")
    classes = {name for file in files for name in re.findall(r"^class (\w+Scheduler)\(", file.read_text("utf-8"), re.M)}
    assert len(classes) > 40
    assert classes <= SCHEDULERS


@pytest.mark.parametrize("name", sorted(SCHEDULERS - BUILT))
def test_a_scheduler_that_is_not_built_is_not_mistaken_for_another(name: str) -> None:
    with pytest.raises(ddim_edge.ConfigError) as caught:
        ddim_edge.sampler_config({"_class_name": name})
    assert str(caught.value).startswith(f"_class_name {name!r} is known, but not built here. Built: ")
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("scheduler", "key", "value"),
    [
        *(("DDIMScheduler", "prediction_type", v) for v in ("flow_prediction", "original_sample", "trigflow")),
        *(("DDIMScheduler", "beta_schedule", v) for v in ("sigmoid", "exp", "laplace")),
        *(("DDPMScheduler", "variance_type", v) for v in ("learned", "learned_range", "fixed_large_log")),
    ],
)
def test_a_value_that_is_not_built_is_not_mistaken_for_another(scheduler: str, key: str, value: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=f"^{key} '{value}' is known, but not built here") as caught:
        ddim_edge.sampler_config({"_class_name": scheduler, key: value})
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "theirs", "ours"),
    [("prediction_type", "v_prediction", "angular_velocity"), ("beta_schedule", "scaled_linear", "quadratic")],
)
def test_a_value_that_has_another_name_here_is_answered_by_it(field: str, theirs: str, ours: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=f"^{field} '{theirs}' is called '{ours}' here"):
        ddim_edge.DdimConfig().replace(**{field: theirs})


@pytest.mark.parametrize("name", ["deis", "dpm2", "tcd", "heun", "dpmpp-2m-sde", "lms"])
def test_a_sampler_that_is_not_built_is_not_mistaken_for_another(name: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=f"^sampler '{name}' is known, but not built here"):
        with_sampler(ddim_edge.DdimConfig(), name)


@pytest.mark.parametrize("name", ["FlowMatchHeunDiscreteSchedulr", "NewScheduler", "EDMEuler", "X" * 100_000])
def test_an_unknown_name_is_not_mistaken_for_another(name: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match="is unknown") as caught:
        ddim_edge.sampler_config({"_class_name": name})
    assert "Did you mean" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(("wrong", "meant"), [("DDIMSchedular", "DDIMScheduler"), ("PNDMSheduler", "PNDMScheduler")])
def test_a_misspelt_scheduler_is_answered_by_the_right_one(wrong: str, meant: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=f"Did you mean '{meant}'"):
        ddim_edge.sampler_config({"_class_name": wrong})
