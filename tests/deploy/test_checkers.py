"""The checkers of Dockerfiles, of YAML and of Kubernetes' manifests have nothing to say about deploy/.

``make test-deploy`` makes their environment and names the folder of their programs in ``DDIM_EDGE_DEPLOY_TOOLS``.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.deploy.files import DOCKERFILES, ROOT, YAML_FILES, documents

TOOLS = os.environ.get("DDIM_EDGE_DEPLOY_TOOLS")
CUSTOM = ("ScaledObject", "PodMonitor", "RayService", "RayJob", "Kustomization")
"""Kinds whose schema comes with their operator, not with Kubernetes."""

pytestmark = pytest.mark.skipif(not TOOLS, reason="DDIM_EDGE_DEPLOY_TOOLS names no folder: make test-deploy")


def test_hadolint_accepts_every_dockerfile() -> None:
    _check("hadolint", *DOCKERFILES)


def test_yamllint_accepts_every_file() -> None:
    _check("yamllint", "--strict", "--config-file", "deploy/yamllint.yaml", "deploy")


def test_kubernetes_accepts_every_manifest() -> None:
    files = [path for path in YAML_FILES for each in documents(path) if each.get("kind", CUSTOM[0]) not in CUSTOM]
    assert len(files) == 7
    _check("kubernetes-validate", "--strict", *files)


def test_checkov_finds_no_weakness() -> None:
    _check("checkov", "--config-file", "deploy/checkov.yaml")


def _check(program: str, *arguments: str | Path) -> None:
    assert TOOLS
    outcome = subprocess.run([Path(TOOLS) / program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
