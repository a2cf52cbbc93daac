"""What is made once and kept in the work folder: models, builds, environments of the other programs."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ddim_edge.user_cache import CACHE_VARIABLE

from ..results import ROOT

Command = tuple[str, ...]
PYTHON = sys.executable
OURS = str(Path(sys.executable).with_name("ddim-edge"))


class NotMadeError(Exception):
    """A thing could not be made; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Something that sides need.

    Attributes:
        mark: the file that is there when the thing is whole.
        gigabytes: what it takes on the disk.
        minutes: what making it takes on two cores.
        commands: what makes it; ``{work}`` is the work folder.
        cache: the folder where ``ddim-edge`` keeps its builds meanwhile.
    """

    mark: str
    gigabytes: float
    minutes: float
    commands: tuple[Command, ...]
    needs: tuple[str, ...] = ()
    cache: str | None = None


def _built(name: str, *options: str, gigabytes: float, bundle: str = "bundle") -> Thing:
    """The build of a bundle, in a cache of its own."""
    command = (OURS, "build", f"{{work}}/{bundle}", *options)
    cache = f"cache/{name}"
    needs = (bundle,)
    return Thing(mark=f"{cache}/.done", gigabytes=gigabytes, minutes=1, commands=(command,), needs=needs, cache=cache)


def _environment(name: str, gigabytes: float, minutes: float, *packages: str) -> Thing:
    """A virtual environment with packages."""
    folder = f"{{work}}/envs/{name}"
    pip = (f"{folder}/bin/python", "-m", "pip", "install", "--quiet", *packages)
    commands = ((PYTHON, "-m", "venv", folder), pip)
    return Thing(mark=f"envs/{name}/.done", gigabytes=gigabytes, minutes=minutes, commands=commands)


def _helper(module: str, *arguments: str) -> Command:
    return (PYTHON, "-m", f"bench.full_size.{module}", *arguments)


def _converted(environment: str, gigabytes: float, needs: str, *words: str) -> Thing:
    """Another program's model, made in its environment by a module of this package; the last word is its path."""
    command = (f"{{work}}/envs/{environment}/bin/python", "-m", f"bench.full_size.{words[0]}", *words[1:])
    return Thing(
        mark=f"{environment}/.{words[-1].rpartition('/')[2]}.done",
        gigabytes=gigabytes,
        minutes=3,
        commands=(command,),
        needs=(f"env-{environment}", needs),
    )


_REQUIREMENTS = str(ROOT / "tests" / "optimum" / "requirements.txt")
THINGS: Mapping[str, Thing] = {
    "source": Thing(
        mark="source/model_index.json",
        gigabytes=4.3,
        minutes=1,
        commands=(_helper("source", "stable_diffusion", "{work}/source"),),
    ),
    "bundle": Thing(
        mark="bundle/model_index.json",
        gigabytes=4.3,
        minutes=4,
        commands=((OURS, "export", "{work}/source", "{work}/bundle"),),
        needs=("source",),
    ),
    "pixels": Thing(
        mark="pixels/bundle/model_index.json",
        gigabytes=0.6,
        minutes=1,
        commands=(
            _helper("source", "pixels", "{work}/pixels/source"),
            (OURS, "export", "{work}/pixels/source", "{work}/pixels/bundle"),
        ),
    ),
    "bundle-8bit": Thing(
        mark="bundle-8bit/model_index.json",
        gigabytes=2,
        minutes=4,
        commands=((OURS, "export", "{work}/source", "{work}/bundle-8bit", "--quantize", "int8-weights"),),
        needs=("source",),
    ),
    "bundle-deep": Thing(
        mark="bundle-deep/unet/shallow.onnx",
        gigabytes=0.1,
        minutes=3,
        commands=(
            ("rm", "-rf", "{work}/bundle-deep"),
            ("cp", "-al", "{work}/bundle", "{work}/bundle-deep"),
            (PYTHON, "-m", "ddim_edge_export.step_cache", "{work}/bundle-deep"),
        ),
        needs=("bundle",),
    ),
    "build-cpu": _built("cpu", "--provider", "cpu", gigabytes=4.5),
    "build-deep": _built("deep", "--provider", "cpu", gigabytes=4.5, bundle="bundle-deep"),
    "build-8bit": _built("8bit", "--provider", "cpu", gigabytes=3, bundle="bundle-8bit"),
    "env-genai": _environment("genai", 0.9, 2, "openvino-genai", "openvino-tokenizers", "transformers"),
    "genai": _converted("genai", 4.2, "bundle", "genai_folder", "{work}/bundle", "{work}/source", "{work}/genai"),
    "env-sdcpp": _environment("sdcpp", 0.3, 25, "stable-diffusion-cpp-python", "safetensors"),
    "sdcpp-f16": _converted("sdcpp", 2.3, "source", "checkpoint", "{work}/source", "{work}/sdcpp/f16.gguf"),
    "sdcpp-q8_0": _converted(
        "sdcpp", 1.9, "sdcpp-f16", "checkpoint", "{work}/sdcpp/f16.gguf", "{work}/sdcpp/q8_0.gguf"
    ),
    "env-optimum": _environment("optimum", 2.2, 4, "--requirement", _REQUIREMENTS),
    "optimum": _converted("optimum", 4.5, "source", "optimum_folder", "{work}/source", "{work}/optimum"),
}


def all_needed(names: Iterable[str]) -> list[str]:
    """These things and what they need, what is needed first."""
    ordered = list[str]()
    for name in names:
        ordered += [each for each in (*all_needed(THINGS[name].needs), name) if each not in ordered]
    return ordered


def missing(names: Iterable[str], work: Path) -> list[str]:
    """The things that are still to be made."""
    return [name for name in all_needed(names) if not (work / THINGS[name].mark).exists()]


def check_disk(names: Sequence[str], work: Path) -> None:
    """Raise NotMadeError where the disk has no room for all of these things."""
    needed, free = sum(THINGS[name].gigabytes for name in names), shutil.disk_usage(work).free / 1e9
    if needed > free:
        raise NotMadeError(f"{work} has {free:.0f} GB free, and {', '.join(names)} take {needed:.0f} GB")


def make_all(
    names: Sequence[str], work: Path, environment: Mapping[str, str], say: Callable[[str], None]
) -> dict[str, str]:
    """Make these things; the reason of each that could not be made, also because of what it needs."""
    failed = dict[str, str]()
    for name in names:
        say(f"making {name}: about {THINGS[name].minutes:g} minutes")
        try:
            if lacks := [failed[need] for need in THINGS[name].needs if need in failed]:
                raise NotMadeError(lacks[0])
            make(name, work, environment)
        except NotMadeError as error:
            failed[name] = str(error)
            say(failed[name])
    return failed


def make(name: str, work: Path, environment: Mapping[str, str]) -> None:
    """Make a thing, unless it is there. Raises NotMadeError."""
    thing = THINGS[name]
    mark = work / thing.mark
    if mark.exists():
        return
    own = {CACHE_VARIABLE: str(work / thing.cache)} if thing.cache else {}
    for command in _filled(thing.commands, work):
        done = subprocess.run(
            command, cwd=ROOT, env={**environment, **own}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
            raise NotMadeError(f"{name} could not be made: {last[0][:300] if last else command}")
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def _filled(commands: Iterable[Command], work: Path) -> Iterator[list[str]]:
    for command in commands:
        yield [word.replace("{work}", str(work)) for word in command]
