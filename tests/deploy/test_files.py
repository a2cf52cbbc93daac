"""The files of deploy/ agree with the program: options, ports, probes, users and times."""

import re
from pathlib import Path

import pytest
import yaml

from ddim_edge.cli import cli
from ddim_edge.serving.http.security import needs_key
from ddim_edge.serving.scheduling.metrics import Metrics
from ddim_edge.serving.settings import settings_of
from tests.deploy.files import (
    DEPLOY,
    DOCKERFILES,
    YAML_FILES,
    CommandLine,
    all_pods,
    command_lines,
    documents,
    manifests,
    option,
)
from tests.helpers.command_line import check_options

SERVERS = [each for each in command_lines() if each.words[0] == "serve"]
INDEX = "$(JOB_COMPLETION_INDEX)"
AFTER_THE_DRAIN_S = 10
"""The process ends at most so long after the drain: docs/server.md."""


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_every_yaml_file_has_documents(path: Path) -> None:
    assert documents(path)


@pytest.mark.parametrize("line", command_lines(), ids=lambda line: f"{line.file} {line.words[0]}")
def test_every_command_line_has_options_that_exist_and_values_of_their_types(line: CommandLine) -> None:
    check_options([word.replace(INDEX, "0") for word in line.words])


def test_every_server_in_a_container_is_reached_from_outside_of_it() -> None:
    assert len(SERVERS) >= 5
    for line in SERVERS:
        if not line.file.endswith((".service", ".md")):
            assert option(line.words, "--host") == "0.0.0.0", line.file


def test_kubernetes_waits_longer_than_the_server_takes_to_stop() -> None:
    deployment, *others = [each for each in SERVERS if each.file.startswith("deploy/kubernetes/")]
    assert not others
    delay, drain = (float(option(deployment.words, name)) for name in ("--shutdown-delay", "--drain"))
    (manifest,) = manifests("Deployment")
    pod = manifest["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= delay + drain + AFTER_THE_DRAIN_S
    probe = pod["containers"][0]["readinessProbe"]
    assert delay >= probe["periodSeconds"] * probe["failureThreshold"]


def test_compose_and_systemd_wait_longer_than_the_server_takes_to_stop() -> None:
    (compose,) = documents(DEPLOY / "compose.yaml")
    server = compose["services"]["server"]
    assert _seconds(server["stop_grace_period"]) >= float(option(server["command"], "--drain")) + AFTER_THE_DRAIN_S
    unit = (DEPLOY / "ddim-edge.service").read_text(encoding="utf-8")
    (line,) = (each for each in SERVERS if each.file.endswith(".service"))
    stop = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert stop
    assert float(stop[1]) >= float(option(line.words, "--drain")) + AFTER_THE_DRAIN_S


def test_the_probes_ask_for_paths_that_need_no_key_at_the_port_of_the_server() -> None:
    (manifest,) = manifests("Deployment")
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": _default_port()}]
    for probe, path in (("startup", "ready"), ("readiness", "ready"), ("liveness", "live")):
        assert container[f"{probe}Probe"]["httpGet"] == {"path": f"/health/{path}", "port": "http"}
        assert not needs_key(f"/health/{path}")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_runs_as_a_user_without_rights_and_from_a_built_wheel(path: Path) -> None:
    last = path.read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    user = re.search(r"^USER (\d+)", last, re.MULTILINE)
    assert user
    assert int(user[1]) >= 1000
    assert "apt-get" not in last
    assert "pip wheel" in path.read_text(encoding="utf-8")
    check = f"http://127.0.0.1:{_default_port()}/health/ready"
    assert check in last or "HEALTHCHECK NONE" in last


def test_pods_get_no_variables_of_services_which_the_program_would_refuse() -> None:
    pods = all_pods()
    assert len(pods) == 6
    for pod in pods:
        assert pod["enableServiceLinks"] is False


def test_the_labels_that_manifests_select_by_are_those_of_the_pods() -> None:
    (deployment,) = manifests("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    (service,) = manifests("Service")
    selectors = [service["spec"]["selector"], deployment["spec"]["selector"]["matchLabels"]]
    selectors += [each["spec"]["selector"]["matchLabels"] for each in manifests("PodDisruptionBudget")]
    selectors += [each["spec"]["selector"]["matchLabels"] for each in manifests("PodMonitor")]
    assert len(selectors) == 4
    assert all(each.items() <= labels.items() for each in selectors)


def test_the_shards_are_as_many_as_the_indices_of_the_job() -> None:
    (job,) = manifests("Job")
    (line,) = (each for each in command_lines() if INDEX in " ".join(each.words))
    assert f"--shard={INDEX}/{job['spec']['completions']}" in line.words


def test_the_autoscaler_asks_for_metrics_that_the_server_has() -> None:
    names = {family.name for family in Metrics().registry.collect()}
    (scaled,) = manifests("ScaledObject")
    queries = [trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]]
    asked = [metric for query in queries for metric in re.findall(r"ddim_edge_\w+", query)]
    assert asked == ["ddim_edge_queue_depth", "ddim_edge_running_requests"]
    assert names.issuperset(asked)


def test_ray_serve_takes_the_configuration() -> None:
    pytest.importorskip("ray.serve")
    from ray.serve.schema import ServeDeploySchema

    from ddim_edge.serving import ray as application

    (service,) = manifests("RayService")
    (config,) = ServeDeploySchema(**yaml.safe_load(service["spec"]["serveConfigV2"])).applications
    module, _, function = config.import_path.partition(":")
    assert (module, function) == (application.__name__, application.build.__name__)
    application.build(config.args)
    names = [each.name for each in config.deployments]
    assert names == [application.deployment_of(settings_of({})).name]


def test_every_kustomization_lists_files_that_exist() -> None:
    kustomizations = [path for path in YAML_FILES if path.name == "kustomization.yaml"]
    assert len(kustomizations) == 4
    for path in kustomizations:
        (document,) = documents(path)
        named = {(path.parent / each).resolve() for each in document["resources"]}
        assert all(each.exists() for each in named)
        assert {each for each in path.parent.iterdir() if each != path} <= named


def _default_port() -> int:
    (port,) = (each for each in cli.commands["serve"].params if each.name == "port")
    assert isinstance(port.default, int)
    return port.default


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))
