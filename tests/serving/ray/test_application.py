"""What Ray Serve deploys, without a cluster."""

import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve import Application
from ray.serve.schema import ServeDeploySchema

from ddim_edge.errors import BundleError, ConfigError
from ddim_edge.serving import Settings
from ddim_edge.serving import ray as serving_ray

ROOT = Path(__file__).parents[3]


def deployed(application: Application) -> list[str]:
    """The names of all deployments, the one that takes the requests first."""
    bound = application._bound_deployment
    models: dict[str, Application] = bound.init_args[2] if len(bound.init_args) > 2 else {}
    return [bound.name, *(each._bound_deployment.name for each in models.values())]


def test_serve_sends_no_more_than_the_queue_takes() -> None:
    deployment = serving_ray.deployment_of(Settings(max_queue=9, max_rows=4))
    assert (deployment.max_ongoing_requests, deployment.max_queued_requests) == (9, 9)


def test_one_model_is_one_deployment(tiny_bundle: Path) -> None:
    assert deployed(serving_ray.build({})) == deployed(serving_ray.app) == ["ddim-edge"]
    assert deployed(serving_ray.build({"models": f"tiny={tiny_bundle}"})) == ["ddim-edge"]


def test_several_models_are_a_deployment_each_behind_an_ingress(tiny_bundle: Path) -> None:
    models = ["fashion-mnist", f"tiny={tiny_bundle}"]
    built = serving_ray.build({"models": models, "settings": {"store": "redis://nowhere", "max_queue": 9}})
    assert deployed(built) == ["ddim-edge", "fashion-mnist", "tiny"]
    ingress = built._bound_deployment
    assert (ingress.max_ongoing_requests, ingress.ray_actor_options) == (18, {"num_cpus": 0})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modells": []}, r"argument 'modells' is unknown. Did you mean 'models'\?"),
        ({"models": [5]}, r"models\[0\] must be a string"),
        ({"settings": 5}, "settings must be an object"),
        ({"settings": {"max_row": 4}}, "Did you mean 'max_rows'"),
        ({"settings": {"max_rows": 0}}, "max_rows"),
        ({"settings": {"warm_up": "yes"}}, "warm_up"),
        ({"settings": {"api_keys": 5}}, "api_keys must be a string"),
        ({"settings": {"api_keys": f"{os.sep}nowhere"}}, "nowhere cannot be read"),
        ({"models": ["fashion-mnist", "other=fashion-mnist"]}, "several models need a store"),
        ({"models": ["fashion-mnist", "fashion-mnist"]}, "two models are called"),
        ({"models": ["a=fashion-mnist", "ddim-edge=fashion-mnist"]}, "a model cannot be called 'ddim-edge'"),
    ],
)
def test_wrong_arguments_are_refused_before_a_replica_starts(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        serving_ray.build(arguments)
    assert "\n" not in str(raised.value)


def test_a_model_that_is_missing_is_refused_before_a_replica_starts(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nowhere") as raised:
        serving_ray.build({"models": [f"mine={tmp_path / 'nowhere'}"]})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["serve.yaml", "models.yaml"])
def test_the_examples_are_ones_that_serve_takes(name: str, tiny_bundle: Path) -> None:
    text = (ROOT / "deploy" / "ray" / name).read_text().replace("/models/my-bundle", str(tiny_bundle))
    (application,) = ServeDeploySchema.model_validate(yaml.safe_load(text)).applications
    assert application.import_path == "ddim_edge.serving.ray:build"
    built = serving_ray.build(application.args)
    assert deployed(built) == [deployment.name for deployment in application.deployments]


def test_the_documents_commands_name_what_exists() -> None:
    text = (ROOT / "docs" / "many-machines.md").read_text()
    commands = re.findall(r"^serve (?:run|deploy) (\S+)", text, re.MULTILINE)
    named = [each.partition(":") for each in commands if not each.endswith(".yaml")]
    assert {each for each in commands if each.endswith(".yaml")} == {"deploy/ray/serve.yaml"}
    assert {module for module, _, _ in named} == {serving_ray.__name__}
    assert {name for _, _, name in named} == {"app", "build"} <= set(serving_ray.__all__)
    assert f"{serving_ray.__name__}:{serving_ray.proxy_middleware.__name__}" in text


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in [name for name in sys.modules if name.startswith("ddim_edge.serving.ray")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ConfigError, match=r"pip install '.*'ray\[data,serve\]>=2.60'"):
        importlib.import_module("ddim_edge.serving.ray")
