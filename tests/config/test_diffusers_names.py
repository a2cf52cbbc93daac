"""Names that diffusers has and this project has not: the answer never is another name."""

import pytest

import ddim_edge
from ddim_edge.config.refused_schedulers import REFUSED
from ddim_edge.diffusion.samplers import with_sampler
from ddim_edge.diffusion.samplers.table import BY_CLASS


def test_a_class_is_built_or_refused_and_not_both() -> None:
    assert not REFUSED.keys() & BY_CLASS.keys()


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_scheduler_that_is_not_built_is_refused_with_a_reason(name: str) -> None:
    with pytest.raises(ddim_edge.ConfigError) as caught:
        ddim_edge.sampler_config({"_class_name": name})
    assert str(caught.value) == f"_class_name {name!r} is known, but not built here: {REFUSED[name]}."


@pytest.mark.parametrize(
    ("scheduler", "key", "value"),
    [
        *(("DDIMScheduler", "prediction_type", v) for v in ("flow_prediction", "original_sample", "trigflow")),
        *(("DDIMScheduler", "beta_schedule", v) for v in ("exp", "laplace")),
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


@pytest.mark.parametrize("name", ["dpm-adaptive", "dpm-fast", "edm", "sa-solver"])
def test_a_sampler_that_is_not_built_is_not_mistaken_for_another(name: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=f"^sampler '{name}' is known, but not built here"):
        with_sampler(ddim_edge.DdimConfig(), name)


@pytest.mark.parametrize("name", ["VQDiffusionSchedulr", "NewScheduler", "EDMEuler", "X" * 100_000])
def test_an_unknown_name_is_not_mistaken_for_another(name: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match="is unknown") as caught:
        ddim_edge.sampler_config({"_class_name": name})
    assert "Did you mean" not in str(caught.value)
    assert len(str(caught.value)) < 1200  # it lists all that are built


@pytest.mark.parametrize(("wrong", "meant"), [("DDIMSchedular", "DDIMScheduler"), ("PNDMSheduler", "PNDMScheduler")])
def test_a_misspelt_scheduler_is_answered_by_the_right_one(wrong: str, meant: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=f"Did you mean '{meant}'"):
        ddim_edge.sampler_config({"_class_name": wrong})
