"""What deploy/ has: its YAML documents, and every command line of ddim-edge in its files."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILES = sorted((DEPLOY / "docker").glob("*.Dockerfile"))
YAML_FILES = sorted(DEPLOY.rglob("*.yaml"))


class CommandLine(NamedTuple):
    """The words after ``ddim-edge``, and the file where they stand."""

    file: str
    words: list[str]


def documents(path: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file."""
    return [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]


def manifests(kind: str) -> list[dict[str, Any]]:
    """The Kubernetes manifests of one kind."""
    return [each for path in YAML_FILES for each in documents(path) if each.get("kind") == kind]


def pods(node: Any) -> Iterator[dict[str, Any]]:
    """Every pod's specification below ``node``."""
    if isinstance(node, dict):
        if "containers" in node:
            yield node
        else:
            for each in node.values():
                yield from pods(each)
    elif isinstance(node, list):
        for each in node:
            yield from pods(each)


def all_pods() -> list[dict[str, Any]]:
    """Every pod's specification in deploy/."""
    return [pod for path in YAML_FILES for document in documents(path) for pod in pods(document)]


def command_lines() -> list[CommandLine]:
    """Every command line of ddim-edge in deploy/."""
    return [
        CommandLine(path.relative_to(ROOT).as_posix(), words)
        for path in sorted(DEPLOY.rglob("*"))
        if path.is_file()
        for words in _words_of(path)
    ]


def option(words: list[str], name: str) -> str:
    """The value of an option that stands as a word of its own before it."""
    return words[words.index(name) + 1]


def _words_of(path: Path) -> Iterator[list[str]]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".Dockerfile":
        yield from (json.loads(line) for line in re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE))
    elif path.suffix == ".service":
        yield from (shlex.split(line)[1:] for line in re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE))
    elif path.suffix == ".md":
        runs = re.findall(r"^docker run .* ddim-edge:\w+ (\w.*)$", text.replace("\\\n", ""), re.MULTILINE)
        yield from (shlex.split(words) for words in runs)
    elif path.suffix == ".yaml":
        for document in documents(path):
            yield from _words_of_document(document)


def _words_of_document(document: dict[str, Any]) -> Iterator[list[str]]:
    yield from (container["args"] for pod in pods(document) for container in pod["containers"] if "args" in container)
    yield from (service["command"] for service in document.get("services", {}).values())
    if document.get("kind") == "RayJob":
        yield shlex.split(document["spec"]["entrypoint"])[1:]
