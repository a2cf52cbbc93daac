"""Pipelines that do more than a bundle does."""

import pytest

from ddim_edge.errors import ConfigError
from ddim_edge_export.sources.pipeline_class import PipelineWarning, check_pipeline_class


@pytest.mark.parametrize(
    "name", ["DDPMPipeline", "StableDiffusionXLControlNetInpaintPipeline", "LatentConsistencyModelPipeline"]
)
def test_pipelines_that_a_bundle_is_the_equal_of(name: str, recwarn: pytest.WarningsRecorder) -> None:
    check_pipeline_class(name)
    assert not recwarn.list


@pytest.mark.parametrize(
    "name",
    ["StableDiffusionGLIGENPipeline", "StableDiffusionPAGPipeline", "StableDiffusionXLPAGPipeline", "RePaintPipeline"],
)
def test_pipelines_that_do_more_are_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' does more than a bundle does, .* change _class_name"):
        check_pipeline_class(name)


@pytest.mark.parametrize("name", ["MyPipeline", ["my_pipeline", "MyPipeline"], None, {"a": 1}, []])
def test_pipelines_that_diffusers_does_not_have_are_warned_of(name: object) -> None:
    with pytest.warns(PipelineWarning, match="diffusers has no pipeline .* is not exported"):
        check_pipeline_class(name)
