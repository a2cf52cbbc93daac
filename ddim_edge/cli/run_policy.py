"""``run POLICY``: decides on the actions of robots from a file of observations, and writes them to a file."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from ..arrays import Array, Sample
from ..bundle.bundle import Bundle
from ..bundle.policy_config import PolicyConfig
from ..diffusion.samplers import SamplerConfig, changed_options
from ..errors import ConfigError, listed
from ..generation.requests.conditioning_file import read_arrays
from ..generation.requests.origin import sha256_of
from ..images.encode import npy_bytes
from ..images.formats import ARRAY_SUFFIXES
from ..images.npz import npz_bytes
from ..policy.load import load_policy
from ..policy.stacked import check_names, described, unstacked
from ..runtime.providers.device import Device
from ..version import __version__
from .destination import check_format
from .output import free_names
from .replacing import check_free, write_output
from .standard_output import STANDARD_OUTPUT

ACTIONS = "actions"
"""The name of the actions in an .npz file."""
_TAKEN = (
    *("model", "conditioning", "output", "force", "file_format", "num_steps", "sampler", "seed", "quiet", "as_json"),
    *("provider", "precision", "provider_options", "allow_fallback", "no_build"),
)
"""The parameters of `ddim-edge run` that a policy has."""


class _Run(NamedTuple):
    """What is made, and how."""

    sampler: SamplerConfig
    num_steps: int
    seed: int

    @property
    def facts(self) -> dict[str, Any]:
        return {"sampler": self.sampler.name, "steps": self.num_steps, "seed": self.seed}


def run_policy(bundle: Bundle, device: Device, options: Mapping[str, Any]) -> None:
    """Decide once for each robot of --conditioning; ``options`` are those of ``ddim-edge run``, by their parameters."""
    _check_options(bundle.name)
    config, run = PolicyConfig.read(bundle.folder), _run_of(bundle, options)
    arrays = _observations(bundle.name, options["conditioning"], config)
    robots = unstacked(arrays, config)
    output, force, names = options["output"], options["force"], free_names(bundle.name, options["file_format"] or "npz")
    target = _target(output or str(next(names)), options["file_format"])
    if output not in (None, STANDARD_OUTPUT):
        check_free(target, force=force)
    policy = load_policy(bundle.folder, device, **run._asdict(), warm_up=False)
    *before, last = (list(time) for time in zip(*robots, strict=True))
    for observations in before:
        policy.observe_many(observations)
    actions = policy.act_many(last)
    contents = _contents(target, actions, _recipe(bundle, run, arrays))
    if output == STANDARD_OUTPUT:
        sys.stdout.buffer.write(contents)
    else:
        target = write_output(target, contents, force=force, other_names=None if output else names)
    assert policy.last is not None
    if not options["quiet"]:
        made = {"file": str(target), "robots": len(actions), "actions": actions.shape[1]}
        facts = {**made, "provider": policy.provider, "seconds": round(policy.last.seconds, 3), **run.facts}
        click.echo(json.dumps(facts) if options["as_json"] else _line(facts), err=output == STANDARD_OUTPUT)


def _run_of(bundle: Bundle, options: Mapping[str, Any]) -> _Run:
    name, steps = options["sampler"], options["num_steps"]
    sampler = bundle.own_sampler if name is None else bundle.sampler(name)
    return _Run(sampler, bundle.default_steps(sampler) if steps is None else steps, options["seed"] or 0)


def _check_options(name: str) -> None:
    """Raise ConfigError for an option on the command line that policies do not have."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name not in _TAKEN:
            raise ConfigError(f"{parameter.opts[0]} is not for robot policies, and {name} is one: leave it out")


def _observations(name: str, path: Path | None, config: PolicyConfig) -> dict[str, Array]:
    if path is None:
        wanted = [described(each, observed, config) for each, observed in config.observations.items()]
        raise ConfigError(f"{name} decides from observations: give --conditioning FILE.npz with {listed(wanted)}")
    return read_arrays(path, lambda names: check_names(names, config))


def _target(output: str, file_format: str | None) -> Path:
    """Where the actions go; for standard output a name with the suffix of the format. ConfigError for other files."""
    path = Path(f"-.{file_format or 'npz'}" if output == STANDARD_OUTPUT else output)
    if path.suffix not in ARRAY_SUFFIXES or "://" in output:
        raise ConfigError(f"cannot write {output}: actions are written to a file that ends in .npz or .npy")
    if file_format is not None:
        check_format(path, file_format)
    return path


def _contents(path: Path, actions: Sample, recipe: Mapping[str, Any]) -> bytes:
    return npy_bytes(actions) if path.suffix == ".npy" else npz_bytes(actions, recipe, ACTIONS)


def _recipe(bundle: Bundle, run: _Run, arrays: Mapping[str, Array]) -> dict[str, Any]:
    """What makes the same actions again, as JSON values; of the observations their hashes."""
    model = {"model": bundle.name, "model_sha256": bundle.sha256, "version": __version__}
    sampler = {"name": run.sampler.name, **changed_options(run.sampler)}
    observations = {name: sha256_of(array) for name, array in sorted(arrays.items())}
    return {**model, "num_steps": run.num_steps, "seed": run.seed, "sampler": sampler, "observations": observations}


def _line(facts: Mapping[str, Any]) -> str:
    """One line for people."""
    robots = f"{facts['robots']} robot{'s' if facts['robots'] != 1 else ''}"
    how = f"{facts['steps']} steps of {facts['sampler']}, seed {facts['seed']}"
    took = f"on {facts['provider']} in {facts['seconds']:.2f} s"
    return f"{facts['file']}  ({facts['actions']} actions of {robots}, {how}, {took})"
