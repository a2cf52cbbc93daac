"""The noise levels of a run, for each family of models: what a solver needs to make its rows.

``levels_of`` has S+1 levels: those at which the network is called, and the end of the run.
"""

import numpy as np

from ...arrays import Floats
from ...config import EdmConfig, FlowConfig, NoiseLevelsConfig, SamplerOptions, ThresholdConfig
from ...config.noise_levels import RealTimeConfig
from ..levels import Level, Levels
from ..preconditioning import network_levels, network_times
from ..schedule import first_step, nonzero_alpha_bars, select_timesteps
from ..spacings import karras, spaced
from .flow_levels import flow_levels
from .given_levels import given_levels
from .query import Run, Times


def levels_of(config: SamplerOptions, num_steps: int, strength: float = 1.0) -> Run:
    """The levels of a run of ``num_steps`` steps, of which ``strength`` leaves the last; as diffusers chooses them.

    ``config`` is a FlowConfig, an EdmConfig, or of discrete betas; then the levels are those of diffusers' samplers in
    σ (Euler, Heun, LMS, …). Raises ConfigError.
    """
    first = first_step(num_steps, strength)
    if isinstance(config, FlowConfig):
        return flow_levels(config, num_steps).after(first)
    if isinstance(config, EdmConfig):
        return _edm_levels(config, num_steps).after(first)
    assert isinstance(config, ThresholdConfig)
    return _sigma_levels(config, num_steps).after(first)


def _edm_levels(config: EdmConfig, num_steps: int) -> Run:
    """σ between the config's own ends; the network is fed c_noise = ¼·log(σ), or σ."""
    ends = config.sigma_min, config.sigma_max, num_steps
    sigmas = karras(*ends, config.rho) if config.sigma_schedule == "karras" else spaced("exponential", *ends)
    end = 0.0 if config.final_sigma == "zero" else float(sigmas[-1])
    return Run(network_times(config, sigmas), network_levels(config, sigmas).ending(Level(1.0, end)))


def _sigma_levels(config: ThresholdConfig, num_steps: int) -> Run:
    """σ at timesteps that can be fractional, or spaced anew, and then their timesteps by interpolation of log σ."""
    table, rising = _sigma_table(config)
    every, positions = np.arange(len(table)), _positions(config, num_steps)
    sigmas, end = np.interp(positions, every, table), 0.0
    if isinstance(config, NoiseLevelsConfig):
        if config.sigma_spacing:
            ends = config.sigma_min or float(sigmas[-1]), config.sigma_max or float(sigmas[0])
            sigmas = spaced(config.sigma_spacing, *ends, num_steps)
            positions = np.interp(np.log(sigmas), np.log(rising), every)
        positions, sigmas = given_levels(config, rising, num_steps) or (positions, sigmas)
        end = 0.0 if config.final_sigma == "zero" else float(table[0])
    return Run(_fed(config, positions), Levels.of_sigmas(sigmas).ending(Level(1.0, end)))


def timesteps_at(config: ThresholdConfig, sigmas: Floats) -> Times:
    """The timesteps of levels between two others, by interpolation of log σ."""
    rising = _sigma_table(config)[1]
    return _fed(config, np.interp(np.log(sigmas), np.log(rising), np.arange(len(rising))))


def _sigma_table(config: ThresholdConfig) -> tuple[Floats, Floats]:
    """σ of the T timesteps, and the same rising: the value that replaces ᾱ_T = 0 can be below its neighbours."""
    bars = nonzero_alpha_bars(config)
    table: Floats = np.sqrt((1 - bars) / bars)
    return table, np.maximum.accumulate(table)


def _fed(config: ThresholdConfig, positions: Floats) -> Times:
    """What the network is fed for ``positions`` among the T timesteps."""
    whole = isinstance(config, RealTimeConfig) and config.whole_timesteps
    return positions.round().astype(np.int64) if whole or _all_whole(positions) else positions


def _positions(config: ThresholdConfig, num_steps: int) -> Floats:
    whole = select_timesteps(config, num_steps)
    if config.timestep_spacing != "linspace":
        return whole.astype(np.float64)
    return np.linspace(0, config.num_train_steps - 1, num_steps)[::-1]


def _all_whole(positions: Floats) -> bool:
    return bool(np.all(positions == positions.round()))
