"""Which branches a UNet has for a step cache, found in its module before it is traced."""

import itertools
from typing import Any, NoReturn

import torch

from ddim_edge.errors import ConfigError

from ..graph.step_cache import check_branch

_PARTS = ("conv_in", "down_blocks", "mid_block", "up_blocks", "conv_out")


def check_module(module: torch.nn.Module, branch: int) -> None:
    """ConfigError for a network that is not built as a UNet of diffusers, and for a branch that it does not have."""
    missing = [part for part in _PARTS if not hasattr(module, part)]
    if missing:
        _refuse(module, f"it has no {missing[0]}, as diffusers' UNets have")
    blocks = module.up_blocks
    if not isinstance(blocks, torch.nn.ModuleList) or not len(blocks) or not hasattr(blocks[-1], "resnets"):
        _refuse(module, "its last up block has no resnets")
    if any(hasattr(block, "skip_conv") for block in blocks):
        _refuse(module, f"its {type(blocks[-1]).__name__} passes on an image beside the hidden state")
    check_branch(branch, _count_skips(blocks[-1]))


def _count_skips(block: torch.nn.Module) -> int:
    """The number of resnets that take a skip connection: those that take more channels than the one before returns.

    The first one of a block always does.
    """
    resnets: list[Any] = list(block.get_submodule("resnets").children())
    pairs = itertools.pairwise(resnets)
    return 1 + sum(int(later.in_channels) > int(earlier.out_channels) for earlier, later in pairs)


def _refuse(module: torch.nn.Module, reason: str) -> NoReturn:
    raise ConfigError(f"--step-cache: {type(module).__name__} has no deep features to cache: {reason}; leave it out")
